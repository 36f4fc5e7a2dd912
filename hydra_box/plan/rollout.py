"""Replacing a service's instances by others that run as it now shall, and when to go back.

::

    there is room for both:  old ────────────── drains
                             └ new starts ─ ready ┘        as many serve as before
    else, ``makes_room``:    old drains, ends ─ new starts ─ ready

One after another, in both ways. A new one for which there turns out to be no room gets that of an
old one only while yet another serves, unless the owner lets the last end as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec.structs import replace

from hydra_box.plan.lifecycle import HAS_PROCESS, is_stable, keeps_dying, waits_for_room
from hydra_box.plan.ways import on_other_runtime
from hydra_box.plan.words import counted
from hydra_box.types import (
    DesiredState,
    Frozen,
    Instance,
    InstanceState,
    MakesRoom,
    Runtime,
    Service,
)

S = InstanceState

DEATHS_BEFORE_GOING_BACK = 2
"""A new way that fails for a passing reason gets a second try; a broken one costs no more."""

_UNPROVEN = frozenset({S.PENDING, S.STARTING, S.READY, S.BACKOFF})


class Turn(Frozen, frozen=True, kw_only=True):
    """What becomes of a service's instances while some of them are replaced."""

    ending: tuple[Instance, ...] = ()
    staying: tuple[Instance, ...]
    beside: int = 0
    """New instances to make beyond those that are wanted: one at a time."""


def replace_beside(
    wanted: int, present: Sequence[Instance], old: Sequence[Instance], *, settled: bool
) -> Turn:
    """Old instances serve until new ones do in their place.

    Args:
        wanted: how many instances the service shall have; at least one.
        present: those there are or will be, the one that is least worth keeping first.
        old: the outdated of them that serve, the first to go first.
        settled: nothing of the service is on its way out.
    """
    new = [one for one in present if one not in old]
    new = new[max(0, len(new) - wanted) :]
    ready = sum(one.state is S.READY for one in new)
    spare = max(0, ready + len(old) - wanted)
    staying = (*new, *old[spare:])
    if len(staying) < len(present) or not settled:
        ending = tuple(one for one in present if one not in staying)
        return Turn(ending=ending, staying=staying)
    waiting = [one for one in new if waits_for_room(one)]
    if ready + len(waiting) < len(new):
        return Turn(staying=staying)
    if not waiting:
        return Turn(staying=staying, beside=int(len(staying) == wanted))
    if ready + len(old) == 1:
        return Turn(staying=staying)
    # Who waits tries again later and later: in its place one is made once the old one is gone.
    ending = (old[0], *waiting)
    return Turn(ending=ending, staying=tuple(one for one in staying if one not in ending))


def replace_in_place(
    kept: Sequence[Instance],
    old: Sequence[Instance],
    *,
    settled: bool,
    to_the_last: bool = False,
) -> Turn:
    """One old instance at a time ends, and makes room for its successor.

    It waits until everything else is ``settled`` and serves, so that a new way of running that does
    not work takes down one instance and no more. While another waits for room (a driver may take a
    moment to give back what an ended one held), the last that serves goes on.

    Args:
        kept: the instances there are or will be, as many as are wanted.
        old: the outdated of them that serve, the first to go first.
        settled: nothing of the service comes or is on its way out.
        to_the_last: the last that serves may end for one that waits for room.
    """
    others = [one for one in kept if one not in old]
    waiting = [one for one in others if waits_for_room(one)]
    ready = sum(one.state is S.READY for one in others)
    rest = ready + len(waiting) == len(others)
    last = bool(waiting) and ready + len(old) == 1 and not to_the_last
    ending = tuple(old[:1]) if settled and rest and not last else ()
    return Turn(ending=ending, staying=tuple(one for one in kept if one not in ending))


def why_back(service: Service, instances: Iterable[Instance], old: Collection[str]) -> str | None:
    """Why a service has to run as before its edit again; None: it has not."""
    if service.previous is None or service.desired_state is not DesiredState.RUNNING:
        return None
    return _why_it_dies(one for one in instances if one.way is not None and one.id not in old)


def has_moved(service: Service, instances: Collection[Instance], old: Collection[str]) -> bool:
    """Whether all that a service shall have serves as it shall, and what was before is gone."""
    ready = sum(one.state is S.READY for one in instances)
    wanted = service.desired_state is DesiredState.RUNNING
    return wanted and not old and ready >= service.desired_instances


def settled(
    service: Service, instances: Collection[Instance], old: Collection[str], *, now: float
) -> Service:
    """The service with what has still to be known of its rollout.

    Nothing makes room any more once all have moved. What it goes back to is kept until they are
    stable: a new way may get ready, and die of the first real request.
    """
    if not has_moved(service, instances, old):
        return service
    stable = sum(is_stable(one, now=now) for one in instances) >= service.desired_instances
    return replace(service, makes_room=MakesRoom.NO, previous=None if stable else service.previous)


def is_moving(service: Service, instances: Iterable[Instance], runtime: Runtime) -> bool:
    """Whether a service's instances are being replaced by some on a runtime that was pinned."""
    if service.desired_state is not DesiredState.RUNNING:
        return False
    pin = {(runtime.engine, runtime.accelerator): runtime.id}
    in_place = service.makes_room is not MakesRoom.NO and service.engine is runtime.engine
    return in_place or any(on_other_runtime(one, pin) for one in instances)


def may_still_die(service: Service, instances: Iterable[Instance], *, now: float) -> bool:
    """Whether something of a service that has moved to a pinned runtime is not stable there yet."""
    if service.desired_state is not DesiredState.RUNNING:
        return False
    return any(one.state in _UNPROVEN and not is_stable(one, now=now) for one in instances)


def why_unpin(
    runtime: Runtime,
    services: Iterable[Service],
    instances: Mapping[str, Collection[Instance]],
    moved: Collection[str] = (),
) -> str | None:
    """Why what was pinned before a runtime has to be used again; None: it has not.

    Only those services count that ran on another before: what never served tells nothing of it.

    Args:
        runtime: the pinned.
        services: all of them.
        instances: by service.
        moved: ids of the services that have moved to it, and were not stable on it yet.
    """
    for service in services:
        ours = instances[service.id]
        counts = service.id in moved or is_moving(service, ours, runtime)
        if counts and service.previous is None:
            on_it = (one for one in ours if one.runtime_id in (None, runtime.id))
            if reason := _why_it_dies(on_it):
                return f"{service.name}: {reason}"
    return None


def told(service: Service, instances: Collection[Instance], old: Collection[str]) -> str | None:
    """How far the replacing of a service's instances is, in a sentence; None: none is replaced."""
    if service.desired_state is not DesiredState.RUNNING:
        return None
    left = [one for one in instances if one.id in old and one.state in HAS_PROCESS]
    if not left:
        return None
    new = [one for one in instances if one.id not in old]
    ready = sum(one.state is S.READY for one in new)
    text = f"{ready} of {counted(service.desired_instances, 'instance')} replaced"
    if not any(waits_for_room(one) for one in new):
        return text
    text += "; the next one waits for room beside those that serve"
    serving = sum(one.state is S.READY for one in (*left, *new))
    if serving > 1 or service.makes_room is MakesRoom.TO_THE_LAST:
        return text
    return f"{text}; hint: hydra-box edit {service.name} --allow-downtime ends an old one first"


def _why_it_dies(instances: Iterable[Instance]) -> str | None:
    for one in instances:
        if one.state is S.FAILED or keeps_dying(one, DEATHS_BEFORE_GOING_BACK):
            return one.reason or "its engine ended, and did not say why"
    return None
