"""The life of an instance: which arrows there are, and what a death leads to."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.plan.lifecycle import (
    ALLOWED,
    COUNTS_AS_WANTED,
    HAS_PROCESS,
    LONGEST_DELAY_SECONDS,
    MAX_BOOTS_WITHOUT_READY,
    STABLE_AFTER_SECONDS,
    after_death,
    restart_delay_seconds,
    waits_for_room,
)
from hydra_box.types import Instance, InstanceState
from tests.samples import an_instance, structs

S = InstanceState


def test_every_state_has_its_arrows_and_leads_to_the_end() -> None:
    assert set(ALLOWED) == set(S)
    for state in S:
        reached, new = {state}, {state}
        while new:
            new = {after for before in new for after in ALLOWED[before]} - reached
            reached |= new
        assert S.STOPPED in reached
    assert ALLOWED[S.STOPPED] == frozenset()


def test_a_state_with_a_process_never_becomes_one_to_start() -> None:
    for state in HAS_PROCESS:
        assert S.PENDING not in ALLOWED[state]
        # Whoever wakes has its process still.
        assert state in (S.STARTING, S.ASLEEP) or S.STARTING not in ALLOWED[state]


def test_an_instance_on_its_way_out_never_counts_again() -> None:
    for state in set(S) - COUNTS_AS_WANTED:
        assert not ALLOWED[state] & COUNTS_AS_WANTED


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [
        *[(-1, 0.0), (0, 0.0), (1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (9, 256.0)],
        *[(10, 300.0), (11, 300.0), (10**9, 300.0)],
    ],
)
def test_restart_delays(failures: int, seconds: float) -> None:
    assert restart_delay_seconds(failures) == seconds


def test_without_room_it_never_gives_up() -> None:
    instance = an_instance(state=S.STARTING)
    for _ in range(3 * MAX_BOOTS_WITHOUT_READY):
        waits = after_death(instance, now=100.0, reason="no room", had_room=False)
        assert waits.state is S.BACKOFF
        instance = msgspec.structs.replace(waits, state=S.STARTING)
    assert waits.retry_at == 100.0 + LONGEST_DELAY_SECONDS
    assert (waits.boots_without_ready, waits_for_room(waits)) == (0, True)


def test_one_that_ran_waits_for_room_like_any_other() -> None:
    served = an_instance(state=S.READY, ready_at=90.0, runtime_id="r")
    died = after_death(served, now=100.0, reason="signal 9")
    assert not waits_for_room(died)
    again = msgspec.structs.replace(died, state=S.STARTING)
    assert waits_for_room(after_death(again, now=101.0, reason="no room", had_room=False))


def test_a_death_while_starting_counts_towards_the_end() -> None:
    instance = an_instance(state=S.STARTING, pid=5, process_created_at=1.0, restarts=7)
    delays = []
    for boot in range(1, MAX_BOOTS_WITHOUT_READY):
        instance = after_death(instance, now=100.0, reason="no memory")
        assert instance.state is S.BACKOFF
        assert instance.boots_without_ready == boot
        assert instance.retry_at is not None
        delays.append(instance.retry_at - 100.0)
        instance = msgspec.structs.replace(instance, state=S.STARTING, retry_at=None)
    assert delays == [1.0, 2.0, 4.0, 8.0]
    dead = after_death(instance, now=100.0, reason="no memory")
    assert (dead.state, dead.retry_at, dead.reason) == (S.FAILED, None, "no memory")


@pytest.mark.parametrize(
    ("ready_for", "failures", "delay"),
    [(0.0, 4, 8.0), (STABLE_AFTER_SECONDS - 0.001, 4, 8.0), (STABLE_AFTER_SECONDS, 1, 1.0)],
)
def test_a_death_after_being_ready(ready_for: float, failures: int, delay: float) -> None:
    instance = an_instance(state=S.READY, ready_at=100.0, failures=3, boots_without_ready=4)
    dead = after_death(instance, now=100.0 + ready_for, reason="signal 9")
    assert (dead.state, dead.failures, dead.boots_without_ready) == (S.BACKOFF, failures, 0)
    assert dead.retry_at == pytest.approx(100.0 + ready_for + delay)


def test_a_ready_instance_is_not_given_up_even_when_its_time_is_unknown() -> None:
    instance = an_instance(state=S.READY, ready_at=None, boots_without_ready=4)
    assert after_death(instance, now=1.0, reason="signal 9").state is S.BACKOFF


@given(
    instance=structs(
        Instance,
        state=st.sampled_from([S.STARTING, S.READY]),
        failures=st.integers(0, 100),
        boots_without_ready=st.integers(0, MAX_BOOTS_WITHOUT_READY - 1),
        ready_at=st.none() | st.floats(0, 1e9),
    ),
    now=st.floats(0, 1e9),
)
def test_every_death_goes_along_an_arrow_and_is_bounded(instance: Instance, now: float) -> None:
    dead = after_death(instance, now=now, reason="why")
    assert dead.state in ALLOWED[instance.state]
    assert (dead.pid, dead.process_created_at, dead.ready_at) == (None, None, None)
    assert (dead.id, dead.service_id, dead.device) == (
        instance.id,
        instance.service_id,
        instance.device,
    )
    assert dead.failures >= 1
    if dead.state is S.BACKOFF:
        assert dead.retry_at is not None
        assert now < dead.retry_at <= now + LONGEST_DELAY_SECONDS
