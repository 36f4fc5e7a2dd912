"""Which instances have lost a GPU, and which services wait for one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hydra_box.plan.gpu_loss import lost_devices, waits_for_gpu
from hydra_box.types import CPU, GpuCondition, GpuLoss, Machine
from tests.machines import cpu_only, one_rtx_4090
from tests.samples import a_service

UUID = one_rtx_4090().gpus[0].uuid


def without_gpus(condition: GpuCondition, message: str, **changes: Any) -> Machine:
    return msgspec.structs.replace(
        cpu_only(), gpu_condition=condition, gpu_message=message, **changes
    )


def lost(condition: GpuCondition) -> Machine:
    loss = GpuLoss(index=0, condition=condition, message="it is gone; hint: restart", uuid=UUID)
    return without_gpus(condition, "1 of 1", lost_gpus=(loss,))


@pytest.mark.parametrize(
    ("machine", "found"),
    [
        pytest.param(one_rtx_4090(), {}, id="it is there"),
        pytest.param(
            lost(GpuCondition.GPU_LOST), {UUID: "it is gone; hint: restart"}, id="fell off the bus"
        ),
        pytest.param(lost(GpuCondition.ERROR), {}, id="the driver does not answer"),
        pytest.param(without_gpus(GpuCondition.ERROR, "NVML failed"), {}, id="nobody knows"),
        pytest.param(
            without_gpus(GpuCondition.NO_DRIVER, "no driver"),
            {UUID: f"{UUID} is not there any more: no driver"},
            id="the driver is gone",
        ),
    ],
)
def test_which_devices_are_gone(machine: Machine, found: dict[str, str]) -> None:
    assert lost_devices(machine, (UUID, CPU, "")) == found


@pytest.mark.parametrize(
    ("machine", "service", "reason"),
    [
        pytest.param(one_rtx_4090(), {"on_gpu": True}, None, id="a GPU is there"),
        pytest.param(cpu_only(), {}, None, id="there never was one"),
        pytest.param(
            cpu_only(), {"on_gpu": True, "on_cpu": True}, None, id="the CPU was asked for"
        ),
        pytest.param(
            without_gpus(GpuCondition.NO_DEVICE, "no GPU; hint: look"),
            {"on_gpu": True},
            "it waits for a GPU, and no GPU can be used: no GPU",
            id="it was planned on one",
        ),
        pytest.param(
            lost(GpuCondition.GPU_LOST),
            {},
            "it waits for a GPU, and no GPU can be used: it is gone",
            id="one should be there",
        ),
    ],
)
def test_who_waits_for_a_gpu(machine: Machine, service: dict[str, Any], reason: str | None) -> None:
    assert waits_for_gpu(a_service(**service), machine) == reason
