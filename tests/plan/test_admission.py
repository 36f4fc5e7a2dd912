"""Limits of a key: never more than it may, and who waits as long as told is admitted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_box.errors import RateLimited
from hydra_box.plan.admission import (
    MINUTE_SECONDS,
    AllLeft,
    Bucket,
    KeyLoad,
    Left,
    admit,
    left,
    settle,
)
from hydra_box.types import KeyLimits

NOTHING = KeyLoad()
THOUSAND = "the key 'k' may take 1,000 tokens a minute"
LIMITS = st.none() | st.integers(1, 20) | st.integers(1, 10**12)
NOWS = st.floats(0, 1e9)


def buckets() -> st.SearchStrategy[Bucket]:
    return st.builds(Bucket, taken=st.floats(0, 1e9), at=NOWS)


def loads() -> st.SearchStrategy[KeyLoad]:
    return st.builds(
        KeyLoad,
        under_way=st.integers(0, 30),
        reserved=st.integers(0, 10**6),
        requests=buckets(),
        tokens=buckets(),
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
        admit("k", load, limits, 1, now)
    except RateLimited as error:
        return error
    return None


def test_without_limits_everything_is_admitted_and_nothing_is_kept() -> None:
    load = admit("k", NOTHING, KeyLimits(), 700, 5.0)
    assert load == KeyLoad(under_way=1, reserved=700)
    assert settle(load, KeyLimits(), 700, 10**9, 5.0) == NOTHING
    assert left(load, KeyLimits(), 5.0) == AllLeft(requests=None, tokens=None)


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
            KeyLoad(under_way=1),
            KeyLimits(concurrent_requests=1),
            "the key 'k' has 1 request under way, as many as it may",
            1,
        ),
        (
            KeyLoad(requests=Bucket(taken=4.0, at=100.0)),
            KeyLimits(requests_per_minute=4),
            "the key 'k' may take 4 requests a minute, and has taken 4",
            16,
        ),
        (
            KeyLoad(tokens=Bucket(taken=2500.0, at=100.0)),
            KeyLimits(tokens_per_minute=1000),
            "the key 'k' may take 1,000 tokens a minute, and has taken 2,500",
            91,
        ),
        (
            KeyLoad(tokens=Bucket(taken=1000.0, at=100.0)),
            KeyLimits(tokens_per_minute=1000),
            "the key 'k' may take 1,000 tokens a minute, and has taken 1,000",
            1,
        ),
        (
            KeyLoad(reserved=400, tokens=Bucket(taken=800.0, at=100.0)),
            KeyLimits(tokens_per_minute=1000),
            f"{THOUSAND}, and has taken 800, and its requests under way may take 400",
            13,
        ),
        (
            KeyLoad(reserved=1000),
            KeyLimits(tokens_per_minute=1000),
            f"{THOUSAND}, and its requests under way may take 1,000",
            1,
        ),
    ],
)
def test_a_refusal_says_which_limit_and_when_to_come_again(
    load: KeyLoad, limits: KeyLimits, message: str, seconds: int
) -> None:
    error = refusal(load, limits, 100.0)
    assert error is not None
    assert error.message == message
    assert error.retry_after_seconds == seconds
    assert error.hint


def test_the_requests_of_a_minute_come_at_once_or_evenly() -> None:
    limits, load = KeyLimits(requests_per_minute=3), NOTHING
    for _ in range(3):
        load = settle(admit("k", load, limits, 1, 0.0), limits, 1, 0, 0.0)
    assert refusal(load, limits, 19.9)
    assert not refusal(load, limits, 20.1)


def test_tokens_are_reserved_and_replaced_with_what_was_taken() -> None:
    limits = KeyLimits(tokens_per_minute=100)
    load = admit("k", NOTHING, limits, 60, 0.0)
    assert left(load, limits, 0.0).tokens == Left(limit=100, remaining=40, reset_seconds=36.0)
    load = admit("k", load, limits, 60, 0.0)
    assert refusal(load, limits, 0.0)
    load = settle(load, limits, 60, 10, 0.0)
    assert left(load, limits, 0.0).tokens == Left(limit=100, remaining=30, reset_seconds=42.0)
    assert not refusal(load, limits, 0.0)


def test_a_raised_limit_counts_at_once_and_so_does_a_lowered_one() -> None:
    few, many = KeyLimits(requests_per_minute=1), KeyLimits(requests_per_minute=3)
    load = admit("k", NOTHING, few, 1, 0.0)
    assert refusal(load, few, 0.0)
    assert not refusal(load, many, 0.0)
    load = admit("k", admit("k", load, many, 1, 0.0), many, 1, 0.0)
    assert refusal(load, few, 59.0)


@given(loads(), key_limits(), NOWS)
def test_a_refusal_takes_nothing_and_who_waits_as_told_is_admitted(
    load: KeyLoad, limits: KeyLimits, now: float
) -> None:
    error = refusal(load, limits, now)
    for _ in range(4):
        if error is None:
            return
        assert error.retry_after_seconds is not None
        most, per_minute = limits.concurrent_requests, limits.tokens_per_minute
        if most is not None and load.under_way >= most:
            load = KeyLoad(reserved=load.reserved, requests=load.requests, tokens=load.tokens)
        elif per_minute is not None and load.reserved >= per_minute:
            load = KeyLoad(under_way=load.under_way, requests=load.requests, tokens=load.tokens)
        now = max(now, load.requests.at, load.tokens.at) + error.retry_after_seconds
        error = refusal(load, limits, now)
    assert error is None


@given(loads(), key_limits(), NOWS)
def test_what_is_left_is_never_below_zero_nor_more_than_the_limit(
    load: KeyLoad, limits: KeyLimits, now: float
) -> None:
    for one in (left(load, limits, now).requests, left(load, limits, now).tokens):
        if one is not None:
            assert 0 <= one.remaining <= one.limit
            assert one.reset_seconds >= 0


class Model:
    """The rules once more, in whole tokens and slow: what was taken, by whom, and when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.taken = {"requests": 0.0, "tokens": 0.0}
        self.under_way: list[int] = []

    def wait(self, seconds: float, limits: KeyLimits) -> None:
        self.now += seconds
        for what, per_minute in (
            ("requests", limits.requests_per_minute),
            ("tokens", limits.tokens_per_minute),
        ):
            drained = (per_minute or 0) * seconds / MINUTE_SECONDS
            self.taken[what] = max(0.0, self.taken[what] - drained)

    def may(self, limits: KeyLimits) -> bool | None:
        """None: too near to tell, for a float."""
        most, requests, tokens = (
            limits.concurrent_requests,
            limits.requests_per_minute,
            limits.tokens_per_minute,
        )
        if most is not None and len(self.under_way) >= most:
            return False
        room = [
            (requests is None) or requests - self.taken["requests"] - 1 + 1e-9,
            (tokens is None) or tokens - self.taken["tokens"] - sum(self.under_way),
        ]
        if any(one is not True and abs(one) < 1e-6 and one != 0 for one in room):
            return None
        return all(one is True or one > 0 for one in room)


REQUEST = st.tuples(st.just("request"), st.integers(1, 400))
END = st.tuples(st.just("end"), st.floats(0, 1))
WAIT = st.tuples(st.just("wait"), st.sampled_from([0.5, 1.0, 7.5, 30.0, 61.0]))
STEPS_OF_A_KEY = st.lists(REQUEST | REQUEST | END | WAIT, max_size=25)


@settings(max_examples=10_000)
@given(
    STEPS_OF_A_KEY,
    st.builds(
        KeyLimits,
        requests_per_minute=st.none() | st.integers(1, 12),
        tokens_per_minute=st.none() | st.integers(1, 1000),
        concurrent_requests=st.none() | st.integers(1, 4),
    ),
)
def test_no_key_is_over_a_limit_by_more_than_one_reservation(
    steps: list[tuple[str, float]], limits: KeyLimits
) -> None:
    load, model = NOTHING, Model()
    for what, value in steps:
        if what == "wait":
            model.wait(value, limits)
        elif what == "request":
            load = _request(load, model, limits, int(value))
        elif model.under_way:
            reservation = model.under_way.pop(0)
            tokens = round(reservation * value)
            load = settle(load, limits, reservation, tokens, model.now)
            model.taken["tokens"] += tokens if limits.tokens_per_minute else 0
        assert load.under_way == len(model.under_way)
        assert load.reserved == sum(model.under_way)


def _request(load: KeyLoad, model: Model, limits: KeyLimits, reservation: int) -> KeyLoad:
    may = model.may(limits)
    try:
        load = admit("k", load, limits, reservation, model.now)
    except RateLimited:
        assert may is not True
        return load
    assert may is not False
    model.taken["requests"] += 1 if limits.requests_per_minute else 0
    model.under_way.append(reservation)
    if limits.requests_per_minute is not None:
        assert model.taken["requests"] <= limits.requests_per_minute + 1e-6
    if limits.tokens_per_minute is not None:
        over = model.taken["tokens"] + sum(model.under_way) - limits.tokens_per_minute
        assert over < reservation + 1e-6
    if limits.concurrent_requests is not None:
        assert len(model.under_way) <= limits.concurrent_requests
    return load
