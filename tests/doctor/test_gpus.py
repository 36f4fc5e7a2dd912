"""What doctor says of the GPUs of machines that people have."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import pytest

from hydra_box.doctor.gpus import check_gpus
from hydra_box.types import GpuCondition, GpuLoss, GpuProcess, Machine, Severity
from tests.fakes.nvml_machine import mig_slices
from tests.machines import (
    GIB,
    cpu_only,
    eight_h200,
    one_rtx_4090,
    two_rtx_3090_one_half_occupied,
)


def told(machine: Machine, ours: Collection[int] | None = ()) -> list[tuple[str, str, str]]:
    """Check, severity and text of each finding."""
    return [(one.check, one.severity.value, one.message) for one in check_gpus(machine, ours)]


def test_machine_in_order() -> None:
    assert told(one_rtx_4090()) == [("GPU", "info", "1 GPUs")]
    assert told(cpu_only()) == [("GPU", "info", "no NVIDIA driver")]


@pytest.mark.parametrize(
    ("condition", "message", "severity"),
    [
        (GpuCondition.NO_DRIVER, "no driver, although; hint: install it", Severity.WARNING),
        (GpuCondition.NO_DEVICE, "finds no GPU; hint: nvidia-smi", Severity.WARNING),
        (GpuCondition.DRIVER_MISMATCH, "updated; hint: restart", Severity.ERROR),
        (GpuCondition.NO_PERMISSION, "may not; hint: look", Severity.ERROR),
        (GpuCondition.ERROR, "failed; hint: look", Severity.ERROR),
    ],
)
def test_conditions_have_their_severity(
    condition: GpuCondition, message: str, severity: Severity
) -> None:
    machine = msgspec.structs.replace(cpu_only(), gpu_condition=condition, gpu_message=message)
    (one,) = check_gpus(machine, set())
    fact, _, hint = message.partition("; hint: ")
    assert (one.severity, one.message, one.hint) == (severity, fact, hint)


def test_each_lost_gpu_is_told_and_those_that_work() -> None:
    machine = eight_h200()
    lost = tuple(
        GpuLoss(index=index, condition=condition, message=f"GPU {index} {words}")
        for index, condition, words in (
            (2, GpuCondition.GPU_LOST, "has fallen off; hint: restart"),
            (3, GpuCondition.MIG_WITHOUT_INSTANCE, "is in MIG mode; hint: make one"),
        )
    )
    machine = msgspec.structs.replace(
        machine,
        gpus=(*machine.gpus[:2], *machine.gpus[4:]),
        lost_gpus=lost,
        gpu_condition=GpuCondition.GPU_LOST,
    )
    assert told(machine) == [
        ("GPU", "error", "GPU 2 has fallen off"),
        ("GPU", "warning", "GPU 3 is in MIG mode"),
        ("GPU", "info", "in order: GPU 0, 1, 4, 5, 6, 7"),
    ]


def test_mig_instances_are_told() -> None:
    text = "GPU 0 is cut into MIG instances, each a device: 4g.71gb, 3g.71gb"
    assert ("MIG", "info", text) in told(mig_slices())


def test_memory_of_others_is_a_warning_and_ours_is_not() -> None:
    machine = two_rtx_3090_one_half_occupied()
    (pid,) = [one.pid for gpu in machine.gpus for one in gpu.processes]
    text = f"GPU 1: 12.0 GiB of 24.0 GiB held by others: a process (pid {pid}) 12.0 GiB"
    assert told(machine)[1:] == [("GPU memory", "warning", text)]
    assert told(machine, {pid})[1:] == []
    unknown = text.replace("others", "processes")
    assert told(machine, None)[1:] == [("GPU memory", "info", unknown)]


def test_small_share_of_a_desktop_is_no_warning() -> None:
    machine = one_rtx_4090()
    desktop = GpuProcess(pid=77, used_bytes=GIB // 2, name="Xorg")
    (gpu,) = machine.gpus
    gpu = msgspec.structs.replace(gpu, processes=(desktop,), free_bytes=gpu.free_bytes - GIB // 2)
    machine = msgspec.structs.replace(machine, gpus=(gpu,))
    text = "GPU 0: 0.5 GiB of 24.0 GiB held by others: Xorg (pid 77) 0.5 GiB"
    assert told(machine)[1:] == [("GPU memory", "info", text)]


def test_memory_that_nobody_visible_holds() -> None:
    machine = one_rtx_4090()
    (gpu,) = machine.gpus
    hidden = msgspec.structs.replace(gpu, free_bytes=gpu.free_bytes - 10 * GIB)
    machine = msgspec.structs.replace(machine, gpus=(hidden,))
    text = "GPU 0: 10.4 GiB held by processes that cannot be seen from here"
    assert told(machine)[1:] == [("GPU memory", "warning", text)]
    shared = msgspec.structs.replace(hidden, shares_ram=True)
    assert told(msgspec.structs.replace(machine, gpus=(shared,)))[1:] == []
