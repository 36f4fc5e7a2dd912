"""Quotas: what was used in which period, and no more than that."""

from __future__ import annotations

import math
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_box.errors import InsufficientQuota
from hydra_box.plan.quota import Uses, brought_back, check_quota, start_uses, use, used
from hydra_box.plan.usage import QuotaUse, period_of
from hydra_box.types import QuotaPeriod, TokenQuota

DAY = 86_400.0
THURSDAY = 0.0
"""1 January 1970."""


def end(period: QuotaPeriod, now: float) -> float:
    return period_of(period, now, UTC)[1]


def refusal(quota: TokenQuota, uses: Uses, reserved: int, now: float) -> InsufficientQuota | None:
    try:
        check_quota("k", quota, uses, reserved, now, end)
    except InsufficientQuota as error:
        return error
    return None


def test_the_books_are_where_counting_begins() -> None:
    books = QuotaUse(day=1, week=20, month=300, total=4000)
    uses = start_uses(books, THURSDAY, end)
    assert [used(uses, period, THURSDAY) for period in QuotaPeriod] == [1, 20, 300, 4000]
    uses = use(uses, 5, THURSDAY + 10, end)
    assert [used(uses, period, THURSDAY) for period in QuotaPeriod] == [6, 25, 305, 4005]


def test_each_period_ends_at_its_own_time() -> None:
    uses = start_uses(QuotaUse(day=1, week=2, month=3, total=4), THURSDAY, end)
    on_friday, on_monday, in_february = DAY, 4 * DAY, 31 * DAY
    assert [used(uses, period, on_friday) for period in QuotaPeriod] == [0, 2, 3, 4]
    assert [used(uses, period, on_monday) for period in QuotaPeriod] == [0, 0, 3, 4]
    assert [used(uses, period, in_february) for period in QuotaPeriod] == [0, 0, 0, 4]
    uses = use(uses, 10, on_monday, end)
    assert [used(uses, period, on_monday) for period in QuotaPeriod] == [10, 10, 13, 14]


@pytest.mark.parametrize(
    ("period", "message", "seconds", "hint"),
    [
        (QuotaPeriod.DAY, "a day, and has used 100", 86_401 - 100, "begins in 23 h 59 min; "),
        (QuotaPeriod.WEEK, "a week, and has used 100", 4 * 86_400 + 1 - 100, "begins in 4 d; "),
        (QuotaPeriod.MONTH, "a month, and has used 100", 31 * 86_400 + 1 - 100, "begins in 31 d; "),
        (QuotaPeriod.TOTAL, "in all, and has used 100", None, "hydra-box keys edit k "),
    ],
)
def test_a_refusal_says_until_when(
    period: QuotaPeriod, message: str, seconds: int | None, hint: str
) -> None:
    uses = use({}, 100, 100.0, end)
    error = refusal(TokenQuota(tokens=100, period=period), uses, 0, 100.0)
    assert error is not None
    prefix = "the key 'k' may use 100 tokens of public services"
    assert error.message == f"{prefix} {message}"
    assert error.retry_after_seconds == seconds
    assert (error.http_status, error.code) == (429, "insufficient_quota")
    assert error.hint is not None
    assert hint in error.hint
    per = "" if period is QuotaPeriod.TOTAL else f"/{period}"
    assert f"hydra-box keys edit k --quota TOKENS{per} raises it" in error.hint
    assert refusal(TokenQuota(tokens=101, period=period), uses, 0, 100.0) is None


def test_what_is_reserved_may_be_free_again_soon() -> None:
    quota, uses = TokenQuota(tokens=100), use({}, 60, 0.0, end)
    assert refusal(quota, uses, 39, 0.0) is None
    error = refusal(quota, uses, 40, 0.0)
    assert error is not None
    assert "it has used 60, and its requests under way may take the rest" in error.message
    assert error.retry_after_seconds == 1


REQUEST = st.tuples(st.just("request"), st.integers(1, 400))
END = st.tuples(st.just("end"), st.floats(0, 1))
WAIT = st.tuples(st.just("wait"), st.sampled_from([60.0, 40_000.0, DAY, 5 * DAY]))
RAISE = st.tuples(st.just("raise"), st.integers(1, 500))


@settings(max_examples=3_000)
@given(
    st.lists(REQUEST | REQUEST | END | WAIT | RAISE, max_size=25),
    st.sampled_from(QuotaPeriod),
    st.integers(1, 1000),
)
def test_no_key_is_over_its_quota_by_more_than_one_reservation(
    steps: list[tuple[str, float]], period: QuotaPeriod, tokens: int
) -> None:
    quota, now = TokenQuota(tokens=tokens, period=period), 0.0
    uses: Uses = {}
    taken: list[tuple[float, int]] = []
    under_way: list[int] = []
    most_over = 0
    for what, value in steps:
        if what == "wait":
            now += value
        elif what == "raise":
            quota = TokenQuota(tokens=quota.tokens + int(value), period=period)
        elif what == "end" and under_way:
            reservation = under_way.pop(0)
            taken.append((now, round(reservation * value)))
            uses = use(uses, taken[-1][1], now, end)
        start = period_of(period, now, UTC)[0]
        model = sum(one for at, one in taken if at >= start)
        assert used(uses, period, now) == model
        if what == "request":
            refused = refusal(quota, uses, sum(under_way), now)
            # Who has something left is let in, at once after it was raised, and nobody else.
            assert (refused is None) == (model + sum(under_way) < quota.tokens)
            if refused is None:
                under_way.append(int(value))
                most_over = max(most_over, int(value))
        assert model <= quota.tokens + most_over


def test_a_clock_that_was_ahead_keeps_nobody_from_the_next_period() -> None:
    ahead = use({}, 100, 4000 * DAY, end)
    back = brought_back(ahead, THURSDAY, end)
    # Nothing is forgiven, and nothing is kept longer than the period that there is now.
    assert [used(back, period, THURSDAY) for period in QuotaPeriod] == [100] * 4
    assert [used(back, period, 32 * DAY) for period in QuotaPeriod] == [0, 0, 0, 100]
    assert brought_back(back, THURSDAY + 5, end) == back


def test_total_never_ends() -> None:
    assert end(QuotaPeriod.TOTAL, 5.0) == math.inf
