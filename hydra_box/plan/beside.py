"""A new instance beside the one whose place it takes: whether it is placed as well, what it lacks.

What an old instance still holds must not send its successor to the CPU, where it would stay.
"""

from __future__ import annotations

from collections.abc import Mapping

from hydra_box.plan.words import gib, gpu_name
from hydra_box.types import (
    CPU,
    Frozen,
    Machine,
    MakesRoom,
    Placement,
    Plan,
    Rejection,
    Shortfall,
)


class Replacement(Frozen, frozen=True, kw_only=True):
    """How the instances of a service are replaced, and what that means for who calls it."""

    makes_room: MakesRoom = MakesRoom.NO
    told: str | None = None
    """In a sentence; None: none that serves is replaced."""

    @property
    def needs_downtime(self) -> bool:
        """Whether nothing serves meanwhile."""
        return self.makes_room is MakesRoom.TO_THE_LAST


def as_well(one: Placement, other: Placement) -> bool:
    """Whether a placement computes where the other does, and as much of it on GPUs."""
    same = one.accelerator is other.accelerator
    return same and one.options.gpu_layers >= other.options.gpu_layers


def lacking_beside(plan: Plan, machine: Machine, available: Mapping[str, int]) -> Rejection:
    """Why there is no room for the first instance of a plan beside what runs.

    Args:
        plan: where it would be if the instances of its service were gone.
        machine: what is there.
        available: device to bytes that are free beside all that run.
    """
    needs = plan.placements[0].memory
    worst = max(needs, key=lambda one: one.total_bytes - available.get(one.device, 0))
    names = {gpu.uuid: gpu_name(gpu) for gpu in machine.gpus} | {CPU: "the CPU"}
    free = available.get(worst.device, 0)
    has = f"{names.get(worst.device, worst.device)} has {gib(free)}"
    missing = Shortfall(
        device=worst.device,
        needed_bytes=worst.total_bytes,
        available_bytes=free,
        message=f"needs {gib(worst.total_bytes)}; {has} free beside what runs",
    )
    return Rejection(
        reasons=(missing.message,), missing=(missing,), alternatives=(), engine=plan.engine
    )


def endings(serving: int, old: int) -> tuple[int, ...]:
    """After how many ends of old instances there may be room for a new one; worth asking in turn.

    One is the rule, and the last that serves ends only if that has to be.
    """
    most = min(old, serving - 1)
    return tuple(dict.fromkeys((1, most))) if most else ()


def replacement(
    lacks: Rejection | None, *, serving: int, ends: int, start_seconds: float | None
) -> Replacement:
    """How instances are replaced, as there is room for a new one beside all that run or not.

    Args:
        lacks: why there was no room the last time that it was asked; None: there always was.
        serving: instances that serve now, of which one at least is to be replaced.
        ends: how many of those have to end before there is room for a new one.
        start_seconds: how long the last start took, if that is known.
    """
    if lacks is None:
        return Replacement(
            told="A new instance starts beside those that serve, and takes the place of an old one "
            "once it is ready: the service is served throughout."
        )
    why = lacks.missing[0].message if lacks.missing else lacks.message
    no_room = f"There is no room for a new instance beside those that serve ({why})"
    if ends < serving:
        first = "one after another ends" if ends == 1 else f"{ends} of them end"
        return Replacement(
            makes_room=MakesRoom.ONE_BY_ONE,
            told=f"{no_room}: {first} before a successor starts, and {serving - ends} of {serving} "
            "serve meanwhile.",
        )
    away = "as long as it loads"
    if start_seconds is not None:
        away = f"about {max(1.0, start_seconds):.0f} s"
    if serving == 1:
        told = f"{no_room}: the old one has to end first, and nothing serves for {away}."
    else:
        told = (
            f"There is no room for a new instance even beside one that serves ({why}): all "
            f"{serving} have to end before the first new one starts, and nothing serves for {away}."
        )
    return Replacement(makes_room=MakesRoom.TO_THE_LAST, told=told)
