"""Sleep: which services fall asleep and when, how their instances do, and what waking needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hydra_box.plan.lifecycle import waits_for_room
from hydra_box.types import (
    CPU,
    DesiredState,
    EngineName,
    Frozen,
    Instance,
    InstanceState,
    Machine,
    Placement,
    Service,
)

S = InstanceState


class Sleep(Frozen, frozen=True, kw_only=True):
    """Who sleeps, as ``reconcile`` needs to know it."""

    services: frozenset[str] = frozenset()
    """Ids of those that are asleep."""
    in_place: frozenset[str] = frozenset()
    """Ids of instances that can give their GPUs back and stay."""
    ending: frozenset[str] = frozenset()
    """Ids of instances that were ended to sleep: who wakes may need their memory."""


AWAKE = Sleep()

_UNSETTLED = frozenset({S.PENDING, S.STARTING, S.DRAINING, S.STOPPING, S.ASLEEP})


def may_sleep(service: Service) -> bool:
    """Whether a service that is asleep may stay so; one that ends or never sleeps does not."""
    wanted = service.desired_state is DesiredState.RUNNING
    return wanted and service.idle_timeout_seconds is not None


def seconds_to_sleep(
    service: Service, instances: Collection[Instance], idle_seconds: float | None
) -> float | None:
    """How long until a service may fall asleep, if nothing happens; 0: now.

    1. None: it never does, or nothing of it serves, or an instance comes or goes: that is a change,
       after which this is asked again.
    2. Its whole idle timeout while a request is under way, which may end at once.
    3. Else what is left of the timeout.

    Args:
        service: the desired state.
        instances: its instances.
        idle_seconds: since its last request ended; None: one is in flight or waits.
    """
    states = {one.state for one in instances}
    timeout = service.idle_timeout_seconds
    if timeout is None or not may_sleep(service) or S.READY not in states or states & _UNSETTLED:
        return None
    return timeout if idle_seconds is None else max(0.0, timeout - idle_seconds)


def sleeps_in_place(
    instances: Collection[Instance],
    engines: Collection[EngineName],
) -> frozenset[str]:
    """The ids of the instances whose processes can give their GPUs back and stay.

    Args:
        instances: of every service.
        engines: those with a sleep mode.
    """
    return frozenset(
        one.id
        for one in instances
        if one.way is not None
        and one.way.engine in engines
        and one.may_sleep
        and one.placement is not None
        and one.device != CPU
    )


def why_not_in_ram(
    placement: Placement, machine: Machine, available: Mapping[str, int]
) -> str | None:
    """Why an instance's weights cannot wait in the RAM; None: they can.

    Args:
        placement: where it runs.
        machine: what is there.
        available: device to bytes that are free for ours.
    """
    if any(gpu.shares_ram for gpu in machine.gpus if gpu.uuid in placement.devices):
        return "its GPU has no memory of its own"
    needed = sum(one.weights_bytes for one in placement.memory if one.device != CPU)
    if needed > available[CPU]:
        return f"its weights take {needed:,} bytes, and {available[CPU]:,} of the RAM are free"
    return None


def has_room(placement: Placement, available: Mapping[str, int]) -> bool:
    """Whether all that a sleeping instance gave back is free; its process kept the overhead."""
    return all(
        one.total_bytes - one.overhead_bytes <= available.get(one.device, 0)
        for one in placement.memory
        if one.device != CPU
    )


def cannot_wake(instances: Collection[Instance]) -> bool:
    """Whether a waking service finds no room: those who wait are told so, and it tries on."""
    without_room = [one for one in instances if waits_for_room(one)]
    failed = sum(one.state is S.FAILED for one in instances)
    return bool(without_room) and len(without_room) + failed == len(instances)
