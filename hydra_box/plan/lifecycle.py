"""The life of an instance: which state may follow which, and what a death leads to.

::

    pending ──► starting ──► ready ──► draining ──► stopping ──► stopped
                  │  ▲ ▲       │                        ▲
                  │  │ └asleep◄┤ nobody calls           │ (any live state)
                  │  └─backoff◄┤ died
                  └──► failed ◄┘ too many boots that never got ready
"""

from __future__ import annotations

import msgspec

from hydra_box.types import Instance, InstanceState

S = InstanceState

ALLOWED: dict[InstanceState, frozenset[InstanceState]] = {
    S.PENDING: frozenset({S.STARTING, S.STOPPED, S.FAILED, S.BACKOFF}),
    S.STARTING: frozenset({S.READY, S.BACKOFF, S.FAILED, S.STOPPING}),
    S.READY: frozenset({S.DRAINING, S.STOPPING, S.BACKOFF, S.ASLEEP}),
    S.ASLEEP: frozenset({S.STARTING, S.STOPPING, S.STOPPED}),
    S.DRAINING: frozenset({S.STOPPING, S.STOPPED}),
    S.STOPPING: frozenset({S.STOPPED}),
    S.BACKOFF: frozenset({S.STARTING, S.STOPPED, S.FAILED}),
    S.FAILED: frozenset({S.STOPPED}),
    S.STOPPED: frozenset(),
}

HAS_PROCESS = frozenset({S.STARTING, S.READY, S.ASLEEP, S.DRAINING, S.STOPPING})
"""States in which an engine process is running."""

COUNTS_AS_WANTED = frozenset({S.PENDING, S.STARTING, S.READY, S.ASLEEP, S.BACKOFF, S.FAILED})
"""States of an instance that is (or will be) there to serve."""

LONGEST_DELAY_SECONDS = 300.0
STABLE_AFTER_SECONDS = 60.0
MAX_BOOTS_WITHOUT_READY = 5


def waits_for_room(instance: Instance) -> bool:
    """Whether its last start got no process for lack of memory, and it waits until there is some.

    One that has failed to get ready is no such instance: who waits for it has to know of that.
    """
    has_run = instance.runtime_id is not None or instance.boots_without_ready > 0
    return instance.state is S.BACKOFF and not has_run


def is_stable(instance: Instance, *, now: float) -> bool:
    """Whether it has served for so long that its next death says nothing of how it runs."""
    ready_at = now if instance.ready_at is None else instance.ready_at
    return instance.state is S.READY and now - ready_at >= STABLE_AFTER_SECONDS


def keeps_dying(instance: Instance, deaths: int) -> bool:
    """Whether its process died so often without having been stable, and it is not up again."""
    if instance.state not in (S.BACKOFF, S.STARTING):
        return False
    # Without a process it counts in ``failures`` how often it found no room.
    died = 0 if instance.runtime_id is None else instance.failures
    return max(died, instance.boots_without_ready) >= deaths


def restart_delay_seconds(failures: int) -> float:
    """How long to wait before the next boot: 1, 2, 4 ... 300 s for 1, 2, 3 ... failures."""
    if failures <= 0:
        return 0.0
    # 2**9 already passes the longest delay; the bound keeps the power from growing.
    return float(min(LONGEST_DELAY_SECONDS, 2.0 ** min(failures - 1, 9)))


def after_death(instance: Instance, *, now: float, reason: str, had_room: bool = True) -> Instance:
    """The instance once its process died without being told to, or found no room to start.

    A process that never got ready counts towards FAILED; one that had been ready for
    ``STABLE_AFTER_SECONDS`` starts again with a clean record and without a long delay. Without
    room it is tried again for good: whoever holds the memory may leave.
    """
    was_ready = instance.state is S.READY
    failures = 1 if is_stable(instance, now=now) else instance.failures + 1
    boots = 0 if was_ready else instance.boots_without_ready + had_room
    failed = boots >= MAX_BOOTS_WITHOUT_READY
    return msgspec.structs.replace(
        instance,
        state=S.FAILED if failed else S.BACKOFF,
        pid=None,
        process_created_at=None,
        ready_at=None,
        placement=None,
        runtime_id=instance.runtime_id if had_room else None,
        failures=failures,
        boots_without_ready=boots,
        retry_at=None if failed else now + restart_delay_seconds(failures),
        reason=reason,
    )
