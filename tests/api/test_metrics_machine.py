"""The machine and its GPUs, as Prometheus reads them; and as the API tells them, now and live."""

from __future__ import annotations

import httpx
import msgspec

from api.metrics.machine import machine_families
from api.prometheus import render
from hydra_box.types import GpuCondition, GpuLoss, Machine
from tests.api.live import LiveBox
from tests.exposition import Page, read
from tests.fakes.nvml_machine import mig_slices
from tests.machines import cpu_only, one_rtx_4090, two_rtx_3090_one_half_occupied
from tests.waiting import eventually


def page(machine: Machine) -> Page:
    return read(render(machine_families(machine)))


def test_machine_with_two_gpus() -> None:
    machine = two_rtx_3090_one_half_occupied()
    found = page(machine)
    second = machine.gpus[1]

    def of_second(name: str) -> float:
        labels = {"gpu": "1", "uuid": second.uuid, "name": "NVIDIA GeForce RTX 3090"}
        return found.value(f"hydra_box_gpu_{name}", **labels)

    assert of_second("memory_total_bytes") == second.total_bytes
    assert of_second("memory_free_bytes") == second.free_bytes
    assert of_second("utilization_ratio") == 0
    assert of_second("temperature_celsius") == 40
    assert of_second("power_watts") == 30
    assert of_second("power_limit_watts") == 300
    assert of_second("processes") == 1
    assert found.value("hydra_box_ram_available_bytes") == machine.ram_available_bytes
    assert "hydra_box_cpu_utilization_ratio" not in found.names(), "a single look has none"
    busy = msgspec.structs.replace(machine, cpu_percent=37.5)
    assert page(busy).value("hydra_box_cpu_utilization_ratio") == 0.375


def test_mig_instances_have_their_profile_and_only_their_readings() -> None:
    found = page(mig_slices())
    assert {
        name
        for name in found.names()
        if name.startswith("hydra_box_gpu_") and found.values(name, mig_profile="4g.71gb")
    } == {
        "hydra_box_gpu_memory_total_bytes",
        "hydra_box_gpu_memory_free_bytes",
        "hydra_box_gpu_temperature_celsius",
        "hydra_box_gpu_processes",
    }


def test_lost_gpu_can_be_alarmed_on() -> None:
    loss = GpuLoss(index=1, uuid="GPU-1", condition=GpuCondition.GPU_LOST, message="gone")
    machine = msgspec.structs.replace(one_rtx_4090(), lost_gpus=(loss,))
    labels = {"gpu": "1", "uuid": "GPU-1", "condition": "gpu-lost"}
    assert page(machine).value("hydra_box_gpu_lost", **labels) == 1
    assert "hydra_box_gpu_lost" not in page(cpu_only()).names()


def test_machine_now_and_from_now_on(live: LiveBox, admin: httpx.Client) -> None:
    found = msgspec.json.decode(admin.get("/api/v1/machine").content, type=Machine)
    assert found.cpu_model == live.box.sampler.latest().cpu_model


def test_samples_are_told_as_they_are_taken(live: LiveBox, admin: httpx.Client) -> None:
    with admin.stream("GET", "/api/v1/machine/live") as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        eventually(lambda: bool(live.box.sampler._watchers), what="it is subscribed")
        live.run(live.box.sampler.fresh())
        lines = answer.iter_lines()
        data = next(line for line in lines if line)
        assert msgspec.json.decode(data.removeprefix("data: "), type=Machine).cpu_model
    eventually(lambda: not live.box.sampler._watchers, what="the subscription has ended")
