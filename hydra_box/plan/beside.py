"""A new instance beside the one whose place it takes: whether it is placed as well, what it lacks.

What an old instance still holds must not send its successor to the CPU, where it would stay.
"""

from __future__ import annotations

from collections.abc import Mapping

from hydra_box.plan.words import gib, gpu_name
from hydra_box.types import CPU, Frozen, Machine, Placement, Plan, Rejection, Shortfall


class Replacement(Frozen, frozen=True, kw_only=True):
    """How the instances of a service are replaced, and what that means for who calls it."""

    in_place: bool = False
    """Each ends before its successor starts."""
    needs_downtime: bool = False
    """Nothing serves meanwhile."""
    told: str | None = None
    """In a sentence; None: none that serves is replaced."""


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


def replacement(
    result: Plan | Rejection, *, serving: int, old: int, start_seconds: float | None
) -> Replacement:
    """How instances are replaced, as there is room for a new one beside all that run or not.

    Args:
        result: of placing one new instance beside them.
        serving: instances that serve now.
        old: those of them that are to be replaced.
        start_seconds: how long the last start took, if that is known.
    """
    if not old:
        return Replacement()
    if isinstance(result, Plan):
        return Replacement(
            told="A new instance starts beside those that serve, and takes the place of an old one "
            "once it is ready: the service is served throughout."
        )
    lacks = result.missing[0].message if result.missing else result.message
    no_room = f"There is no room for a new instance beside those that serve ({lacks})"
    if serving > 1:
        return Replacement(
            in_place=True,
            told=f"{no_room}: one after another ends before its successor starts, and "
            f"{serving - 1} of {serving} serve meanwhile.",
        )
    away = "as long as it loads"
    if start_seconds is not None:
        away = f"about {max(1.0, start_seconds):.0f} s"
    return Replacement(
        in_place=True,
        needs_downtime=True,
        told=f"{no_room}: the old one has to end first, and nothing serves for {away}.",
    )
