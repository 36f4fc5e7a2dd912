"""Whether an upstream serves, and when it is asked again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.plan.upstream_health import (
    LONGEST_BACKOFF_SECONDS,
    LONGEST_REST_SECONDS,
    MOST_STRIKES,
    PROBE_SECONDS,
    Health,
    HealthState,
    Trouble,
    TroubleKind,
    after_answer,
    after_failed_probe,
    after_probe,
    after_trouble,
    backoff_seconds,
    upstreams_reason,
)
from hydra_box.types import EngineName
from tests.samples import a_service

S, K = HealthState, TroubleKind
HEALTHY = Health(state=S.HEALTHY, next_probe_at=PROBE_SECONDS)


def a_trouble(kind: TroubleKind, wait_seconds: float | None = None) -> Trouble:
    return Trouble(kind=kind, reason=f"it is {kind}", wait_seconds=wait_seconds)


def test_it_takes_requests_once_it_has_answered() -> None:
    assert not Health().takes_requests
    assert not Health().works
    assert after_probe(Health(), 0.0) == HEALTHY
    assert after_answer(Health(), 0.0) == HEALTHY


@pytest.mark.parametrize("kind", [K.UNREACHABLE, K.REFUSED])
def test_what_no_request_will_mend_takes_it_out_at_once(kind: TroubleKind) -> None:
    down = after_trouble(HEALTHY, a_trouble(kind), 100.0)
    assert down == Health(state=S.UNHEALTHY, reason=f"it is {kind}", strikes=1, next_probe_at=101.0)
    assert after_failed_probe(HEALTHY, a_trouble(kind), 100.0).state is S.UNHEALTHY


def test_a_failed_request_may_happen() -> None:
    health = HEALTHY
    for strikes in range(1, MOST_STRIKES):
        health = after_trouble(health, a_trouble(K.BROKEN), 100.0)
        assert (health.state, health.strikes, health.reason) == (S.HEALTHY, strikes, None)
    assert after_answer(health, 100.0).strikes == 0
    down = after_trouble(health, a_trouble(K.BROKEN), 100.0)
    assert (down.state, down.reason) == (S.UNHEALTHY, "it is broken")


def test_one_that_answers_probes_alone_comes_back_each_time_later() -> None:
    health, waits = HEALTHY, []
    for _ in range(12):
        health = after_trouble(health, a_trouble(K.REFUSED), 0.0)
        waits.append(health.next_probe_at)
        health = after_probe(health, 0.0)
        assert health.takes_requests
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60]
    assert after_trouble(after_answer(health, 0.0), a_trouble(K.REFUSED), 0.0).next_probe_at == 1


def test_one_that_is_down_is_asked_each_time_later_and_back_at_once() -> None:
    health, waits = HEALTHY, []
    for _ in range(8):
        health = after_failed_probe(health, a_trouble(K.UNREACHABLE), 0.0)
        waits.append(health.next_probe_at)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert after_probe(health, 0.0) == HEALTHY


def test_one_slow_probe_takes_nobody_out() -> None:
    slow = after_failed_probe(HEALTHY, a_trouble(K.BROKEN), 0.0)
    assert slow.takes_requests
    again = after_failed_probe(slow, a_trouble(K.BROKEN), 0.0)
    assert after_failed_probe(again, a_trouble(K.BROKEN), 0.0).state is S.UNHEALTHY
    # Nobody knows yet that it works at all.
    assert after_failed_probe(Health(), a_trouble(K.BROKEN), 0.0).state is S.UNHEALTHY


@pytest.mark.parametrize(
    ("asked", "rests"), [(7.0, 7.0), (0.0, 1.0), (1e9, LONGEST_REST_SECONDS), (None, 1.0)]
)
def test_at_its_limit_it_is_left_alone_as_long_as_it_asks(
    asked: float | None, rests: float
) -> None:
    resting = after_trouble(HEALTHY, a_trouble(K.BUSY, asked), 100.0)
    assert (resting.state, resting.next_probe_at) == (S.RESTING, 100.0 + rests)
    assert resting.works
    assert not resting.takes_requests
    # What it was given before may be answered meanwhile.
    assert after_answer(resting, 100.5).state is S.RESTING
    assert after_probe(resting, 100.5).state is S.RESTING
    assert after_probe(resting, 100.0 + rests).takes_requests


@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.none() | st.sampled_from(K), st.floats(0, 100)), max_size=30
    )
)
def test_there_is_always_a_next_probe_and_a_reason(
    steps: list[tuple[bool, TroubleKind | None, float]],
) -> None:
    health, now = Health(), 0.0
    longest = max(PROBE_SECONDS, LONGEST_BACKOFF_SECONDS, LONGEST_REST_SECONDS)
    for is_probe, kind, seconds in steps:
        now += seconds
        if kind is None:
            health = (after_probe if is_probe else after_answer)(health, now)
        else:
            after = after_failed_probe if is_probe else after_trouble
            health = after(health, a_trouble(kind), now)
        assert health.next_probe_at <= now + longest
        in_trouble = health.state in (S.UNHEALTHY, S.RESTING)
        assert (health.reason is not None) == in_trouble


def test_backoff() -> None:
    assert [backoff_seconds(times) for times in (0, 1, 2, 7, 10_000)] == [1, 1, 2, 60, 60]


DOWN = Health(state=S.UNHEALTHY, reason="it is down; hint: look")
RESTING = Health(state=S.RESTING, reason="it is at its limit")


@pytest.mark.parametrize(
    ("healths", "reason"),
    [
        ([HEALTHY], None),
        ([Health()], None),
        ([HEALTHY, DOWN], "upstream up-1: it is down; hint: look"),
        ([DOWN, DOWN, HEALTHY], "upstream up-0: it is down (and 1 more); hint: look"),
        ([HEALTHY, RESTING], None),
        ([RESTING], "upstream up-0: it is at its limit"),
        ([], "it has no upstream; hint: hydra-box upstreams add qwen2 URL --model NAME"),
    ],
)
def test_reasons(healths: list[Health], reason: str | None) -> None:
    service = a_service(engine=EngineName.UPSTREAM)
    named = [(f"up-{at}", one) for at, one in enumerate(healths)]
    found = upstreams_reason(service, named)
    assert found == reason or (reason and found and found.startswith(reason))
    if not healths:
        assert upstreams_reason(a_service(), named) is None
