"""Limits of a key: never more than it may, and who waits as long as told is admitted."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hydra_box.errors import RateLimited
from hydra_box.plan.admission import Bucket, KeyLoad, admit, charge, finish
from hydra_box.types import KeyLimits

NOTHING = KeyLoad()
LIMITS = st.none() | st.integers(1, 20) | st.integers(1, 10**12)
NOWS = st.floats(0, 1e9)
STEPS = st.floats(0, 90)


@st.composite
def buckets(draw: st.DrawFn) -> Bucket:
    return Bucket(level=draw(st.floats(-1e9, 1e9)), at=draw(NOWS))


def loads() -> st.SearchStrategy[KeyLoad]:
    return st.builds(
        KeyLoad,
        under_way=st.integers(0, 30),
        requests=st.none() | buckets(),
        tokens=st.none() | buckets(),
    )


def key_limits() -> st.SearchStrategy[KeyLimits]:
    return st.builds(
        KeyLimits,
        requests_per_minute=LIMITS,
        tokens_per_minute=LIMITS,
        concurrent_requests=LIMITS,
    )


def refusal(load: KeyLoad, limits: KeyLimits, now: float) -> RateLimited | None:
    try:
        admit("k", load, limits, now)
    except RateLimited as error:
        return error
    return None


def test_without_limits_everything_is_admitted_and_nothing_is_kept() -> None:
    load = admit("k", NOTHING, KeyLimits(), 5.0)
    assert load == KeyLoad(under_way=1)
    assert charge(finish(load), KeyLimits(), 10**9, 5.0) == NOTHING


@pytest.mark.parametrize(
    ("load", "limits", "message", "seconds"),
    [
        (
            KeyLoad(under_way=2),
            KeyLimits(concurrent_requests=2),
            "the key 'k' has 2 requests under way, as many as it may",
            1,
        ),
        (
            KeyLoad(requests=Bucket(level=0.0, at=100.0)),
            KeyLimits(requests_per_minute=4),
            "the key 'k' may take 4 requests a minute, and has taken 4",
            16,
        ),
        (
            KeyLoad(tokens=Bucket(level=-1500.0, at=100.0)),
            KeyLimits(tokens_per_minute=1000),
            "the key 'k' may take 1,000 tokens a minute, and has taken 2,500",
            91,
        ),
        (
            KeyLoad(tokens=Bucket(level=0.0, at=100.0)),
            KeyLimits(tokens_per_minute=1000),
            "the key 'k' may take 1,000 tokens a minute, and has taken 1,000",
            1,
        ),
    ],
)
def test_a_refusal_tells_numbers_and_when_to_come_again(
    load: KeyLoad, limits: KeyLimits, message: str, seconds: int
) -> None:
    told = refusal(load, limits, 100.0)
    assert told is not None
    assert (told.message, told.retry_after_seconds) == (message, seconds)
    assert told.hint


def test_a_full_minute_may_be_taken_at_once_and_comes_back_evenly() -> None:
    limits, load = KeyLimits(requests_per_minute=6), NOTHING
    for _ in range(6):
        load = finish(admit("k", load, limits, 0.0))
    assert refusal(load, limits, 9.9)
    load = finish(admit("k", load, limits, 10.1))
    assert refusal(load, limits, 11.0)
    # However long it rests, it may never take more than one minute's worth.
    for _ in range(6):
        load = finish(admit("k", load, limits, 10_000.0))
    assert refusal(load, limits, 10_000.0)


def test_a_request_that_is_refused_for_its_tokens_takes_no_request() -> None:
    limits = KeyLimits(requests_per_minute=1, tokens_per_minute=60)
    load = charge(NOTHING, limits, 60, 0.0)
    assert refusal(load, limits, 0.0)
    assert admit("k", load, limits, 1.0).under_way == 1


@given(load=loads(), limits=key_limits(), now=NOWS)
def test_it_is_admitted_within_its_limits_only(
    load: KeyLoad, limits: KeyLimits, now: float
) -> None:
    if refusal(load, limits, now):
        return
    after = admit("k", load, limits, now)
    assert after.under_way == load.under_way + 1
    assert after.under_way <= (limits.concurrent_requests or after.under_way)
    assert after.tokens == load.tokens
    assert finish(after).under_way == load.under_way
    if limits.requests_per_minute is not None:
        assert after.requests is not None
        assert 0 <= after.requests.level <= limits.requests_per_minute - 1


@given(load=loads(), limits=key_limits(), now=NOWS)
@example(
    load=KeyLoad(requests=Bucket(level=0.0, at=1e9)),
    limits=KeyLimits(requests_per_minute=10**12),
    now=1e9,
)
@example(
    load=KeyLoad(tokens=Bucket(level=-1e9, at=1e9)),
    limits=KeyLimits(tokens_per_minute=1),
    now=1e9,
)
def test_who_waits_as_long_as_told_is_admitted(
    load: KeyLoad, limits: KeyLimits, now: float
) -> None:
    # Only what comes back by itself is looked at; a request may be refused once for each bucket.
    now = max(now, *(one.at for one in (load.requests, load.tokens) if one), 0.0)
    limits = msgspec.structs.replace(limits, concurrent_requests=None)
    for _ in range(2):
        told = refusal(load, limits, now)
        if told is None:
            return
        assert told.retry_after_seconds is not None
        assert told.retry_after_seconds >= 1
        now += told.retry_after_seconds
    assert refusal(load, limits, now) is None


@given(per_minute=st.integers(1, 50), steps=st.lists(STEPS, min_size=1, max_size=200))
def test_in_any_time_a_key_gets_one_minutes_burst_and_its_rate(
    per_minute: int, steps: list[float]
) -> None:
    limits, load, now = KeyLimits(requests_per_minute=per_minute), NOTHING, 0.0
    admitted: list[float] = []
    for step in steps:
        now += step
        if refusal(load, limits, now) is None:
            load = finish(admit("k", load, limits, now))
            admitted.append(now)
    for first, begin in enumerate(admitted):
        for last in range(first, len(admitted)):
            most = per_minute * (1 + (admitted[last] - begin) / 60)
            assert last - first + 1 <= most + 1e-6


@given(
    per_minute=st.integers(1, 1000),
    answers=st.lists(st.tuples(STEPS, st.integers(0, 5000)), max_size=100),
)
def test_tokens_are_refused_once_those_before_are_more_than_there_were(
    per_minute: int, answers: list[tuple[float, int]]
) -> None:
    limits, load, now, taken = KeyLimits(tokens_per_minute=per_minute), NOTHING, 0.0, 0
    for step, tokens in answers:
        now += step
        if refusal(load, limits, now) is None:
            assert taken < per_minute * (1 + now / 60) + 1e-6
            load = charge(finish(admit("k", load, limits, now)), limits, tokens, now)
            taken += tokens


@given(per_minute=st.integers(1, 1000), count=st.integers(1, 200))
def test_who_keeps_to_the_rate_is_never_refused(per_minute: int, count: int) -> None:
    limits, load = KeyLimits(requests_per_minute=per_minute), NOTHING
    for number in range(count):
        load = finish(admit("k", load, limits, number * 60.001 / per_minute))


@given(load=loads(), limits=key_limits(), now=NOWS, tokens=st.integers(0, 10**9))
def test_a_clock_that_stands_or_goes_back_gives_nothing(
    load: KeyLoad, limits: KeyLimits, now: float, tokens: int
) -> None:
    once = charge(load, limits, tokens, now)
    assert charge(once, limits, 0, now) == once
    if once.tokens is not None and load.tokens is not None and limits.tokens_per_minute:
        back = charge(once, limits, 0, now - 50)
        assert back.tokens is not None
        assert back.tokens.level == once.tokens.level
