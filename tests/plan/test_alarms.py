"""Tables of machines, and the alarms that they deserve."""

from __future__ import annotations

import msgspec
import pytest

from hydra_box.plan.alarms import Bounds, Conditions, Disk, gpu_signs, host_signs
from hydra_box.types import Gpu, GpuCondition, GpuLoss, Machine, Severity
from tests.machines import GIB, MIB, cpu_only, one_rtx_4090

BOUNDS = Bounds(disk_bytes=GIB, ram_bytes=512 * MIB, daemon_bytes=GIB)
DISK_ALARM = "machine.disk./var"


def with_gpu(**changes: object) -> Machine:
    here = one_rtx_4090()
    return msgspec.structs.replace(here, gpus=(msgspec.structs.replace(here.gpus[0], **changes),))


def the_gpu() -> Gpu:
    return one_rtx_4090().gpus[0]


def test_lost_gpus_are_told_and_a_machine_without_one_is_in_order() -> None:
    assert list(gpu_signs(one_rtx_4090(), ())) == []
    assert list(gpu_signs(cpu_only(), ())) == []
    loss = GpuLoss(index=1, condition=GpuCondition.GPU_LOST, message="GPU 1 is gone; hint: restart")
    machine = msgspec.structs.replace(
        one_rtx_4090(), lost_gpus=(loss,), gpu_condition=GpuCondition.GPU_LOST, gpu_message="1 of 2"
    )
    (sign,) = gpu_signs(machine, ())
    assert (sign.message, sign.hint, sign.severity) == ("GPU 1 is gone", "restart", Severity.ERROR)
    stale = msgspec.structs.replace(
        cpu_only(), gpu_condition=GpuCondition.DRIVER_MISMATCH, gpu_message="old; hint: restart"
    )
    (sign,) = gpu_signs(stale, ())
    assert (sign.id, sign.message, sign.hint) == ("gpu.all", "old", "restart")


@pytest.mark.parametrize(
    ("celsius", "was_raised", "is_raised"),
    [(89, False, False), (90, False, True), (85, True, True), (84, True, False)],
)
def test_heat_is_told_until_it_is_well_below_the_bound(
    celsius: int, *, was_raised: bool, is_raised: bool
) -> None:
    machine = with_gpu(temperature_celsius=celsius, slowdown_celsius=90)
    heat = f"gpu.heat.{the_gpu().uuid}"
    signs = list(gpu_signs(machine, (heat,) if was_raised else ()))
    assert [one.id for one in signs] == [heat] * is_raised


def test_a_gpu_that_does_not_say_when_it_slows_down_is_never_too_hot() -> None:
    assert list(gpu_signs(with_gpu(temperature_celsius=120), ())) == []


def test_a_power_brake_is_told() -> None:
    (sign,) = gpu_signs(with_gpu(power_brake=True), ())
    assert sign.id == f"gpu.power.{the_gpu().uuid}"
    assert "the power supply told it to" in sign.message


def conditions(**changes: object) -> Conditions:
    well = Conditions(
        ram_available_bytes=8 * GIB,
        disks=(Disk(holds="the state directory", path="/var", free_bytes=50 * GIB),),
        memory_stalled_percent=0.0,
        daemon_bytes=100 * MIB,
    )
    return msgspec.structs.replace(well, **changes)


def disk(free_bytes: int) -> tuple[Disk, ...]:
    return (Disk(holds="the state directory", path="/var", free_bytes=free_bytes),)


@pytest.mark.parametrize(
    ("seen", "raised", "due"),
    [
        pytest.param(conditions(), (), {}, id="well"),
        pytest.param(
            conditions(memory_stalled_percent=None), (), {}, id="a kernel that does not tell"
        ),
        pytest.param(
            conditions(disks=disk(GIB - 1)), (), {DISK_ALARM: Severity.WARNING}, id="disk"
        ),
        pytest.param(
            conditions(disks=disk(GIB // 8 - 1)), (), {DISK_ALARM: Severity.ERROR}, id="disk full"
        ),
        pytest.param(conditions(disks=disk(GIB)), (), {}, id="disk at the bound"),
        pytest.param(
            conditions(disks=disk(GIB)),
            (DISK_ALARM,),
            {DISK_ALARM: Severity.WARNING},
            id="disk not well over the bound",
        ),
        pytest.param(
            conditions(disks=disk(GIB + GIB // 4)), (DISK_ALARM,), {}, id="disk well over it"
        ),
        pytest.param(
            conditions(ram_available_bytes=511 * MIB),
            (),
            {"machine.ram": Severity.ERROR},
            id="memory",
        ),
        pytest.param(
            conditions(memory_stalled_percent=10.0),
            (),
            {"machine.stalled": Severity.WARNING},
            id="it swaps",
        ),
        pytest.param(
            conditions(memory_stalled_percent=2.0),
            ("machine.stalled",),
            {"machine.stalled": Severity.WARNING},
            id="it still swaps",
        ),
        pytest.param(
            conditions(memory_stalled_percent=1.9), ("machine.stalled",), {}, id="it swaps no more"
        ),
        pytest.param(
            conditions(daemon_bytes=GIB), (), {"machine.daemon": Severity.WARNING}, id="the daemon"
        ),
    ],
)
def test_what_runs_out_is_told(
    seen: Conditions, raised: tuple[str, ...], due: dict[str, Severity]
) -> None:
    assert {one.id: one.severity for one in host_signs(seen, BOUNDS, raised)} == due


def test_a_bound_of_zero_is_never_reached() -> None:
    bounds = Bounds(disk_bytes=0, ram_bytes=0, daemon_bytes=GIB)
    full = conditions(disks=disk(0), ram_available_bytes=0)
    assert host_signs(full, bounds, (DISK_ALARM, "machine.ram")) == []
