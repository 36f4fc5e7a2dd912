"""Which engine serves a model, and which device an instance runs on."""

from __future__ import annotations

import pytest

from hydra_box.errors import EngineUnavailable, InvalidRequest
from hydra_box.plan.devices import choose_device
from hydra_box.plan.engine_choice import choose_engine
from hydra_box.types import Accelerator, EngineName, Gpu, GpuCondition, Machine


def _machine(**free_bytes: int) -> Machine:
    gpus = tuple(
        Gpu(
            uuid=uuid,
            index=index,
            name="RTX 4090",
            total_bytes=24_000,
            free_bytes=free,
            utilization_percent=None,
            temperature_celsius=None,
            power_watts=None,
            compute_capability=(8, 9),
        )
        for index, (uuid, free) in enumerate(free_bytes.items())
    )
    return Machine(
        cpu_model="a CPU",
        physical_cores=1,
        logical_cores=2,
        ram_total_bytes=1,
        ram_available_bytes=1,
        disk_total_bytes=1,
        disk_free_bytes=1,
        gpu_condition=GpuCondition.PRESENT if gpus else GpuCondition.NO_DRIVER,
        gpu_message="fine" if gpus else "no NVIDIA driver",
        gpus=gpus,
    )


@pytest.mark.parametrize(
    ("machine", "in_use", "device"),
    [
        (_machine(a=10), (), "a"),
        (_machine(a=10, b=20), (), "b"),
        (_machine(b=10, a=10), (), "a"),
        (_machine(a=10, b=20), ("b",), "a"),
        (_machine(a=10, b=20), ("b", "a", "a"), "b"),
        (_machine(a=10, b=20), ("cpu", "cpu", "gone"), "b"),
    ],
)
def test_a_gpu_is_chosen_by_instances_then_free_memory(
    machine: Machine, in_use: tuple[str, ...], device: str
) -> None:
    assert choose_device(machine, Accelerator.CUDA, in_use) == device


def test_a_runtime_for_the_cpu_stays_on_it() -> None:
    assert choose_device(_machine(a=10), Accelerator.CPU, ()) == "cpu"


def test_the_cpu_never_takes_the_place_of_a_gpu_in_silence() -> None:
    with pytest.raises(EngineUnavailable, match="none is there: no NVIDIA driver") as caught:
        choose_device(_machine(), Accelerator.CUDA, ())
    assert caught.value.hint == "hydra-box doctor"


def test_engines() -> None:
    assert choose_engine(None) is EngineName.LLAMA_CPP
    assert choose_engine("llama.cpp") is EngineName.LLAMA_CPP


@pytest.mark.parametrize("name", ["", "vllm2", "LLAMA.CPP", "llama.cpp "])
def test_an_unknown_engine_names_those_there_are(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        choose_engine(name)
    assert caught.value.message == f"there is no engine {name!r}"
    assert "llama.cpp" in (caught.value.hint or "")
    assert caught.value.param == "engine"
