"""Which instances may start now when many have to, and when each will be ready.

After a boot everything has to start. All at once every model would be read slowly, and the one that
matters most would be ready last; so engines take turns:

1. In order: the first instance of every service before the second of any; of these the service with
   the higher priority; then one that somebody waits for, the one that was called last, the oldest.
2. At most ``places`` load at once, because loading takes CPU.
3. One at a time reads from a disk. Another may load beside it whose weights are in the kernel's
   cache already, and the next one reads once the first has read all, whatever it still compiles.
4. Nobody overtakes: who is not next takes no memory that the next one may need.
5. Who takes three times as long as was expected keeps no place: one that hangs holds up nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from hydra_box.plan.words import counted
from hydra_box.types import Frozen, Instance, InstanceState, Service

S = InstanceState

PATIENCE = 3.0
"""After so many times the expected seconds a start gives its place away."""

SHORTEST_PATIENCE_SECONDS = 10.0

_COMES_BEFORE = frozenset({S.READY, S.ASLEEP, S.STARTING})
"""States of an instance whose service has one that serves, or is about to."""


class Load(Frozen, frozen=True, kw_only=True):
    """One start that is under way, or is to come."""

    instance_id: str
    service_id: str
    seconds: float
    """Until it is ready, from now or from its beginning; more than 0."""
    reading_seconds: float = 0.0
    """Of these, how long it reads from the disk; 0: it does not, or has done so."""
    disk: int = 0
    due_seconds: float = 0.0
    """How long until it may begin."""
    has_place: bool = True
    """Of one that is under way: whether others have to leave room for it."""


class Eta(Frozen, frozen=True, kw_only=True):
    """When the next instance of a service is ready."""

    seconds: float
    before: int
    """Starts that end, or begin, before its own does; 0: it is under way."""


def keeps_place(expected_seconds: float, elapsed_seconds: float) -> bool:
    """Whether a start that is under way still holds others up."""
    return elapsed_seconds < max(SHORTEST_PATIENCE_SECONDS, PATIENCE * expected_seconds)


def in_order(
    due: Iterable[Instance],
    instances: Collection[Instance],
    services: Mapping[str, Service],
    *,
    waking: Collection[str] = (),
    last_used: Mapping[str, float],
) -> list[Instance]:
    """The instances that have to start, the first one first.

    Args:
        due: those that have to start.
        instances: every instance.
        services: by id.
        waking: ids of services that somebody waits for.
        last_used: service id to when it was last called, as far as that is known.
    """
    before = dict.fromkeys(services, 0)
    for one in instances:
        if one.state in _COMES_BEFORE and one.service_id in before:
            before[one.service_id] += 1
    ranked = []
    for one in sorted(due, key=lambda one: (one.created_at, one.id)):
        service = services[one.service_id]
        used_at = last_used.get(service.id, service.created_at)
        rank = (before[service.id], -service.priority, service.id not in waking, -used_at)
        ranked.append(((*rank, service.created_at, one.id), one))
        before[service.id] += 1
    return [one for _, one in sorted(ranked, key=lambda pair: pair[0])]


def start_now(waiting: Iterable[Load], under_way: Iterable[Load], places: int) -> list[Load]:
    """Those of the waiting that begin now, given in their order."""
    busy = [one for one in under_way if one.has_place]
    starting: list[Load] = []
    for one in waiting:
        reads_beside = any(
            one.reading_seconds and other.reading_seconds and other.disk == one.disk
            for other in busy
        )
        if len(busy) >= places or reads_beside:
            break
        busy.append(one)
        starting.append(one)
    return starting


def etas(waiting: Sequence[Load], under_way: Sequence[Load], places: int) -> dict[str, Eta]:
    """Service id to when its next instance is ready, as the rules above would have it.

    Args:
        waiting: in their order; those that are not due yet too.
        under_way: with what is left of each.
        places: how many may load at once.
    """
    found: dict[str, Eta] = {}
    for one in under_way:
        _note(found, one, one.seconds, before=0)
    now, queue, busy = 0.0, list(waiting), list(under_way)
    before = sum(one.has_place for one in under_way)
    while queue:
        due = [one for one in queue if one.due_seconds <= now]
        for one in start_now(due, busy, places):
            _note(found, one, now + one.seconds, before=before)
            queue.remove(one)
            busy.append(one)
            before += 1
        step = min(_next_events(queue, busy, now), default=0.0)
        now += step
        busy = [_later(one, step) for one in busy if one.seconds > step]
    return found


def _next_events(queue: Iterable[Load], busy: Iterable[Load], now: float) -> Iterable[float]:
    """In how many seconds something changes for who waits."""
    for one in busy:
        if one.has_place:
            yield one.seconds
            if one.reading_seconds:
                yield one.reading_seconds
    for one in queue:
        if one.due_seconds > now:
            yield one.due_seconds - now


def _later(load: Load, seconds: float) -> Load:
    reading = max(0.0, load.reading_seconds - seconds)
    return msgspec.structs.replace(load, seconds=load.seconds - seconds, reading_seconds=reading)


def _note(found: dict[str, Eta], load: Load, seconds: float, *, before: int) -> None:
    known = found.get(load.service_id)
    if known is None or seconds < known.seconds:
        found[load.service_id] = Eta(seconds=seconds, before=before)


def waits_for(before: int) -> str:
    """What a service is doing whose turn has not come."""
    return f"{counted(before, 'engine')} before it" if before else "its engine starts next"


def starts_asleep(service: Service, last_used: float | None, *, now: float) -> bool:
    """Whether a service sleeps when the daemon starts: its idle timeout was over before.

    Args:
        service: the desired state.
        last_used: when it was last called; None: not that it is known of.
        now: Unix time.
    """
    timeout = service.idle_timeout_seconds
    idle = now - max(service.created_at, last_used or 0.0)
    return timeout is not None and idle >= timeout
