"""Which instances have lost a GPU, and what to say of that."""

from __future__ import annotations

from collections.abc import Iterable

from hydra_box.plan.engine_choice import expects_gpu
from hydra_box.types import CPU, GpuCondition, Instance, Machine, Service


def lost_devices(machine: Machine, devices: Iterable[str]) -> dict[str, str]:
    """Of these devices those that are gone, each with the reason.

    A driver that does not answer takes nothing away yet: its GPUs may go on computing, and an
    engine that hangs with it is seen by its silence.
    """
    here = {gpu.uuid for gpu in machine.gpus}
    silent = {one.uuid for one in machine.lost_gpus if one.condition is GpuCondition.ERROR}
    told = {one.uuid: one.message for one in machine.lost_gpus}
    unknown = machine.gpu_condition is GpuCondition.ERROR
    found = {}
    for uuid in devices:
        if uuid in ("", CPU) or uuid in here or uuid in silent:
            continue
        if uuid in told:
            found[uuid] = told[uuid]
        elif not unknown:
            found[uuid] = f"{uuid} is not there any more: {machine.gpu_message}"
    return found


def waits_for_gpu(service: Service, machine: Machine) -> str | None:
    """Why a service has to wait for a GPU to come back; None: it has not.

    One that was planned on GPUs, and any on a machine on which a GPU should be and cannot be used,
    does not take the CPU in silence.
    """
    if service.on_cpu or machine.gpus or not (service.on_gpu or expects_gpu(machine)):
        return None
    trouble = machine.lost_gpus[0].message if machine.lost_gpus else machine.gpu_message
    fact = trouble.partition("; hint: ")[0]
    return f"it waits for a GPU, and no GPU can be used: {fact}"


def devices_of(instance: Instance) -> list[str]:
    """The GPUs that an instance was given; none for one that is not placed or on the CPU."""
    return [one for one in instance.device.split(",") if one not in ("", CPU)]
