"""The GPUs as they are found: the real pynvml, in a process of its own, over a fake NVML."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hydra_box.types import Gpu, GpuCondition, GpuProcess, Machine
from tests.fakes.nvml_machine import mig_slices
from tests.fakes.nvml_prober import Prober
from tests.machines import (
    GIB,
    NAMED,
    cpu_only,
    eight_h200,
    one_rtx_4090,
    two_rtx_3090_one_half_occupied,
)

RICH = Gpu(
    uuid="GPU-11111111-2222-3333-4444-555555555555",
    index=0,
    name="NVIDIA GeForce RTX 4090",
    total_bytes=24 * GIB,
    free_bytes=22 * GIB,
    utilization_percent=37,
    temperature_celsius=41,
    slowdown_celsius=90,
    power_brake=True,
    power_watts=65.5,
    power_limit_watts=450.0,
    compute_capability=(8, 9),
    pci_bus_id="00000000:41:00.0",
    numa_node=65,
)


@pytest.fixture
def prober(tmp_path: Path) -> Iterator[Prober]:
    """A new process that sees a fake NVML."""
    process = Prober(tmp_path)
    yield process
    process.close()


def with_gpus(*gpus: Gpu) -> Machine:
    """A machine of these."""
    return msgspec.structs.replace(one_rtx_4090(), gpus=gpus)


@pytest.mark.parametrize("name", [name for name, make in NAMED.items() if make().gpus])
def test_named_machine_is_found_as_it_is(prober: Prober, name: str) -> None:
    there = NAMED[name]()
    found = prober.snapshot(there)
    assert found.gpus == there.gpus
    assert found.gpu_condition is GpuCondition.PRESENT
    assert (found.driver_version, found.cuda_version) == ("580.95.05", "13.0")
    assert found.lost_gpus == ()


def test_all_readings_of_a_gpu(prober: Prober) -> None:
    machine = prober.snapshot(with_gpus(RICH))
    assert machine.gpus == (RICH,)
    assert machine.gpu_message == "1 GPU (NVIDIA GeForce RTX 4090), driver 580.95.05"


def test_readings_that_a_gpu_does_not_have_are_left_out(prober: Prober) -> None:
    poor = Gpu(uuid="GPU-1", index=0, name="Old", total_bytes=GIB, free_bytes=GIB)
    assert prober.snapshot(with_gpus(poor)).gpus == (poor,)


def test_process_that_computes_and_draws_counts_once(prober: Prober) -> None:
    prober.nvml.become(with_gpus(RICH))
    text = prober.nvml.path.read_text() + (
        "process compute 5000007 1000\n"
        "process graphics 5000007 1000\n"
        "process graphics 5000008 50\n"
        "process mps 5000009 5000\n"
        "process compute 5000010 -\n"
        "process graphics 5000011 -\n"
        "process compute 5000011 60\n"
    )
    prober.nvml.write(text)
    (gpu,) = prober.ask_snapshot().gpus
    assert gpu.processes == tuple(
        GpuProcess(pid=5_000_000 + number, used_bytes=used)
        for number, used in ((9, 5000), (7, 1000), (11, 60), (8, 50), (10, None))
    )


def test_process_has_its_name(prober: Prober) -> None:
    there = one_rtx_4090()
    prober.nvml.become(there)
    prober.nvml.hold(there.gpus[0].uuid, (os.getpid(), GIB))
    (holder,) = prober.ask_snapshot().gpus[0].processes
    assert holder.name == Path("/proc/self/comm").read_text().strip()


def test_mig_instances_are_devices_and_their_gpu_is_none(prober: Prober) -> None:
    there = mig_slices()
    found = prober.snapshot(there)
    assert found.gpus == there.gpus
    assert [gpu.mig_profile for gpu in found.gpus] == ["4g.71gb", "3g.71gb", None]
    assert found.gpu_message == "2 GPUs (NVIDIA H200), 2 MIG instances, driver 580.95.05"


def test_gpu_in_mig_mode_without_an_instance_is_told(prober: Prober) -> None:
    prober.nvml.write("gpu GPU-1\nname NVIDIA A100\nmig_mode 1\n")
    found = prober.ask_snapshot()
    assert found.gpus == ()
    assert found.gpu_condition is GpuCondition.MIG_WITHOUT_INSTANCE
    assert found.gpu_message == (
        "1 of 1 GPUs cannot be used: GPU 0 (NVIDIA A100) is in MIG mode and has no MIG instance; "
        "hint: nvidia-smi mig -i 0 -cgi PROFILE -C makes one; nvidia-smi -i 0 -mig 0 ends MIG mode"
    )


def test_gpu_without_memory_of_its_own_has_the_machines(prober: Prober) -> None:
    gb10 = msgspec.structs.replace(RICH, name="NVIDIA GB10", shares_ram=True)
    machine = prober.snapshot(with_gpus(gb10))
    (gpu,) = machine.gpus
    assert gpu.shares_ram
    assert gpu.total_bytes == machine.ram_total_bytes
    assert 0 < gpu.free_bytes <= machine.ram_total_bytes


@pytest.mark.parametrize(
    ("error", "condition", "words"),
    [
        (4, GpuCondition.NO_PERMISSION, "this user may not use the GPUs"),
        (9, GpuCondition.NO_DRIVER, "installed, but not loaded"),
        (18, GpuCondition.DRIVER_MISMATCH, "the old one is still loaded"),
        (999, GpuCondition.ERROR, "NVML failed at the GPUs: Unknown Error"),
        (77, GpuCondition.ERROR, "NVML failed at the GPUs: an error of the fake"),
    ],
)
def test_every_condition_is_named_with_a_hint(
    prober: Prober, error: int, condition: GpuCondition, words: str
) -> None:
    prober.nvml.write(f"init {error}\n")
    machine = prober.ask_snapshot()
    assert (machine.gpus, machine.lost_gpus) == ((), ())
    assert machine.gpu_condition is condition
    assert words in machine.gpu_message
    assert "; hint: " in machine.gpu_message


def test_driver_without_a_gpu(prober: Prober) -> None:
    machine = prober.snapshot(
        msgspec.structs.replace(cpu_only(), gpu_condition=GpuCondition.NO_DEVICE)
    )
    assert machine.gpu_condition is GpuCondition.NO_DEVICE
    assert "finds no GPU; hint: " in machine.gpu_message


@pytest.mark.parametrize(
    ("line", "condition", "words"),
    [
        ("error 15", GpuCondition.GPU_LOST, "GPU 1 has fallen off the bus"),
        ("handle_error 15", GpuCondition.GPU_LOST, "GPU 1 has fallen off the bus"),
        ("error 16", GpuCondition.GPU_LOST, "GPU 1 needs a reset"),
        ("handle_error 4", GpuCondition.NO_PERMISSION, "this user may not use GPU 1"),
        ("handle_error 8", GpuCondition.ERROR, "GPU 1 has too little power"),
    ],
)
def test_gpu_that_fails_is_an_alarm_and_does_not_hide_the_other(
    prober: Prober, line: str, condition: GpuCondition, words: str
) -> None:
    good = two_rtx_3090_one_half_occupied().gpus[0]
    prober.nvml.become(with_gpus(good))
    prober.nvml.write(f"{prober.nvml.path.read_text()}gpu GPU-bad\n{line}\n")
    machine = prober.ask_snapshot()
    assert [gpu.uuid for gpu in machine.gpus] == [good.uuid]
    (loss,) = machine.lost_gpus
    assert (loss.index, loss.uuid, loss.condition) == (1, None, condition)
    assert loss.message.startswith(f"{words}; hint: ")
    assert machine.gpu_condition is condition
    assert machine.gpu_message == f"1 of 2 GPUs cannot be used: {loss.message}"


# --- a machine that changes while it is watched -------------------------------


def test_gpu_that_falls_off_and_comes_back(prober: Prober) -> None:
    there = two_rtx_3090_one_half_occupied()
    first, second = there.gpus
    assert prober.look(there).gpus == there.gpus
    prober.nvml.lose(second.uuid)
    machine = prober.ask_look()
    assert [gpu.uuid for gpu in machine.gpus] == [first.uuid]
    assert machine.gpus[0].nvlink_peers == ()
    (loss,) = machine.lost_gpus
    assert (loss.index, loss.uuid) == (1, second.uuid)
    assert loss.message.startswith("GPU 1 (NVIDIA GeForce RTX 3090) has fallen off the bus; hint:")
    machine = prober.look(there)
    assert (machine.gpus, machine.lost_gpus) == (there.gpus, ())
    assert machine.gpu_condition is GpuCondition.PRESENT


def test_gpu_that_the_driver_does_not_list_any_more(prober: Prober) -> None:
    there = eight_h200()
    gone = there.gpus[3]
    prober.look(there)
    prober.nvml.remove(gone.uuid)
    machine = prober.ask_look()
    assert len(machine.gpus) == 7
    (loss,) = machine.lost_gpus
    assert (loss.uuid, loss.condition) == (gone.uuid, GpuCondition.GPU_LOST)
    assert loss.message.startswith("GPU 3 (NVIDIA H200) is not there any more; hint: ")
    assert machine.gpu_message.startswith("1 of 8 GPUs cannot be used: ")
    assert prober.look(there).gpus == there.gpus


def test_memory_that_a_process_takes_and_gives_back(prober: Prober) -> None:
    there = one_rtx_4090()
    (before,) = prober.look(there).gpus
    prober.nvml.hold(before.uuid, (5_000_042, 3 * GIB), (5_000_043, GIB))
    (held,) = prober.ask_look().gpus
    assert held.free_bytes == before.free_bytes - 4 * GIB
    assert [one.pid for one in held.processes] == [5_000_042, 5_000_043]
    prober.nvml.hold(before.uuid)
    assert prober.ask_look().gpus == (before,)


def test_driver_that_is_loaded_later(prober: Prober) -> None:
    prober.nvml.write("init 9\n")
    assert prober.ask_look().gpu_condition is GpuCondition.NO_DRIVER
    there = one_rtx_4090()
    assert prober.look(there).gpus == there.gpus


def test_mig_instances_that_are_made_while_it_runs(prober: Prober) -> None:
    there = mig_slices()
    prober.look(msgspec.structs.replace(there, gpus=there.gpus[1:]))
    assert prober.look(there).gpus == there.gpus


def test_a_driver_that_hangs_from_the_start_holds_no_snapshot_up(prober: Prober) -> None:
    prober.nvml.hang()
    found = prober.ask_in_a_hurry()
    assert (found.gpus, found.gpu_condition) == ((), GpuCondition.ERROR)
    assert "has not answered for 1 s" in found.gpu_message
    assert found.ram_available_bytes > 0
    prober.nvml.become(one_rtx_4090())
    assert prober.ask_snapshot().gpus == one_rtx_4090().gpus
