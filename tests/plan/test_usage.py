"""From hours of UTC to the rows of a report, in whatever time zone the box stands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.plan.usage import (
    COUNTS,
    DAY_SECONDS,
    HOUR_SECONDS,
    MINUTE_SECONDS,
    OWNER,
    UNKNOWN,
    Before,
    Member,
    UsedSpan,
    UsedTime,
    add_up,
    all_together,
    by_key,
    by_model,
    by_service,
    by_user,
    cost_nanos,
    day_start,
    hour_start,
    minutes_of,
    month_start,
    period_of,
    start_before,
    week_start,
)
from hydra_box.types import Outcome, Price, QuotaPeriod
from tests.samples import a_request

BERLIN = ZoneInfo("Europe/Berlin")
KOLKATA = ZoneInfo("Asia/Kolkata")
HAVANA = ZoneInfo("America/Havana")
"""Its clocks skip midnight in spring."""
ZONES = (UTC, BERLIN, KOLKATA, HAVANA, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Kathmandu"))
STARTS: tuple[Before, ...] = (hour_start, day_start, week_start, month_start)


def hour_of(text: str) -> int:
    """The hour that begins at a UTC time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() // HOUR_SECONDS)


def an_hour(hour: int, **changes: Any) -> UsedSpan:
    values: dict[str, Any] = {
        "span_seconds": HOUR_SECONDS,
        "start": hour * HOUR_SECONDS,
        "key_id": "key-1",
        "key_name": "laptop",
        "user_id": "u-1",
        "user_name": "ann",
        "service_id": "svc-1",
        "access_name": "public/demo",
        "requests": 1,
    }
    return UsedSpan(**values | changes)


def told(sums: Iterable[UsedTime], zone: Any) -> list[tuple[str, str, int]]:
    return [
        (datetime.fromtimestamp(one.at, zone).strftime("%a %Y-%m-%d %H:%M"), one.name, one.requests)
        for one in sums
    ]


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (
            hour_start,
            [
                ("Sat 2026-10-31 23:00", 1),
                ("Sun 2026-11-01 00:00", 1),
                ("Sun 2026-11-01 23:00", 1),
                ("Mon 2026-11-02 00:00", 1),
            ],
        ),
        (
            day_start,
            [("Sat 2026-10-31 00:00", 1), ("Sun 2026-11-01 00:00", 2), ("Mon 2026-11-02 00:00", 1)],
        ),
        (week_start, [("Mon 2026-10-26 00:00", 3), ("Mon 2026-11-02 00:00", 1)]),
        (month_start, [("Thu 2026-10-01 00:00", 1), ("Sun 2026-11-01 00:00", 3)]),
    ],
)
def test_local_days_weeks_from_monday_and_months(
    start: Before, expected: list[tuple[str, int]]
) -> None:
    # Berlin is an hour before UTC.
    times = ("2026-10-31T22:00", "2026-10-31T23:00", "2026-11-01T22:00", "2026-11-01T23:00")
    sums = add_up([an_hour(hour_of(one)) for one in times], start, BERLIN, by_model)
    assert told(sums, BERLIN) == [(when, "public/demo", count) for when, count in expected]


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)]
)
def test_days_on_which_the_clocks_change_have_all_their_hours(day: str, hours: int) -> None:
    begin = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    first = int(begin.timestamp()) // HOUR_SECONDS
    around = [an_hour(hour) for hour in range(first - 5, first + 30)]
    by_day = {one.at: one.requests for one in add_up(around, day_start, BERLIN, by_model)}
    assert by_day[begin.timestamp()] == hours
    each = add_up(around, hour_start, BERLIN, by_model)
    assert [one.requests for one in each] == [1] * 35


def test_a_day_without_midnight_begins_at_one() -> None:
    noon = datetime(2026, 3, 8, 12, tzinfo=HAVANA)
    begin = datetime.fromtimestamp(day_start(noon).timestamp(), HAVANA)
    assert f"{begin:%Y-%m-%d %H:%M}" == "2026-03-08 01:00"


def test_an_hour_belongs_to_the_day_in_which_it_begins() -> None:
    # 18:00 UTC is 23:30 in Kolkata.
    hours = [an_hour(hour_of("2026-11-01T18:00")), an_hour(hour_of("2026-11-01T19:00"))]
    days = add_up(hours, day_start, KOLKATA, by_model)
    assert [when for when, _, _ in told(days, KOLKATA)] == [
        "Sun 2026-11-01 00:00",
        "Mon 2026-11-02 00:00",
    ]


def test_sums_are_by_whatever_is_asked() -> None:
    hours = [
        an_hour(11, service_id="svc-9", prompt_tokens=5, failed_requests=1, key_name="notebook"),
        an_hour(10, key_id="key-2", key_name="phone", user_id="u-2", user_name="bob"),
        an_hour(10, service_id="svc-2", access_name="public/a", user_id="", user_name=""),
        an_hour(12, service_id="svc-2", access_name="public/b"),
    ]

    def sums(member_of: Callable[[UsedSpan], Member]) -> list[tuple[str, str, int]]:
        return [
            (one.id, one.name, one.requests) for one in add_up(hours, day_start, UTC, member_of)
        ]

    # Who has the name now, and who had it before, are one model to those who call it.
    assert sums(by_model) == [
        ("svc-2", "public/a", 1),
        ("svc-2", "public/b", 1),
        ("svc-9", "public/demo", 2),
    ]
    assert sums(by_service) == [
        ("svc-2", "public/b", 2),
        ("svc-1", "public/demo", 1),
        ("svc-9", "public/demo", 1),
    ]
    assert sums(by_key) == [("key-1", "laptop", 3), ("key-2", "phone", 1)]
    assert sums(by_user) == [("", UNKNOWN, 1), ("u-1", "ann", 2), ("u-2", "bob", 1)]
    assert sums(all_together) == [("", "all", 4)]


def test_minutes_and_days_go_where_their_first_hour_goes() -> None:
    # In Kolkata a day begins at 18:30 UTC, in the middle of an hour.
    at = hour_of("2026-11-01T18:00") * HOUR_SECONDS
    spans = [
        an_hour(0, span_seconds=MINUTE_SECONDS, start=at + 59 * 60),
        an_hour(0, span_seconds=HOUR_SECONDS, start=at),
        an_hour(0, span_seconds=DAY_SECONDS, start=at - 18 * HOUR_SECONDS),
    ]
    assert told(add_up(spans, day_start, KOLKATA, by_model), KOLKATA) == [
        ("Sun 2026-11-01 00:00", "public/demo", 3)
    ]


def test_requests_become_minutes() -> None:
    same = {"key_id": "key-1", "key_name": "laptop", "service_id": "svc-1"}
    first = a_request(
        **same,
        at=120.5,
        prompt_tokens=7,
        cached_tokens=4,
        completion_tokens=3,
        reasoning_tokens=1,
        cost_nanos=11,
        energy_millijoules=13,
    )
    minutes = minutes_of(
        [
            first,
            a_request(**same | {"key_name": "notebook"}, at=179.9, outcome=Outcome.ENGINE_ERROR),
            a_request(**same, at=180.0, outcome=Outcome.REFUSED),
            a_request(at=125.0, key_id="", key_name="local user", outcome=Outcome.CLIENT_GONE),
        ]
    )
    assert [(one.start, one.key_id, one.key_name) for one in minutes] == [
        (120, "key-1", "notebook"),
        (180, "key-1", "laptop"),
        (120, "", OWNER),
    ]
    assert [getattr(minutes[0], name) for name in COUNTS] == [2, 1, 0, 7, 4, 3, 1, 11, 13]
    assert [(one.failed_requests, one.refused_requests) for one in minutes] == [
        (1, 0),
        (0, 1),
        (0, 0),
    ]


@pytest.mark.parametrize(
    ("per_million", "prompt", "completion", "nanos"),
    [
        ((0.0, 0.0), 10**9, 10**9, 0),
        ((1.0, 2.0), 3, 5, 13_000),
        ((0.001, 0.003), 1, 1, 4),
        ((0.55, 2.19), 1_000_000, 1_000_000, 2_740_000_000),
        ((0.1, 0.2), 3, 0, 300),
        # Four decimals are parts of a billionth for a token: half of one is rounded up.
        ((0.0005, 0.0), 1, 0, 1),
        ((0.0004, 0.0), 1, 0, 0),
        ((0.0005, 0.0005), 1, 1, 1),
    ],
)
def test_costs_are_whole_billionths(
    per_million: tuple[float, float], prompt: int, completion: int, nanos: int
) -> None:
    price = Price(input_per_million=per_million[0], output_per_million=per_million[1])
    assert cost_nanos(price, prompt, completion) == nanos
    assert cost_nanos(None, prompt, completion) == 0


@given(
    thousandths=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
    tokens=st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)),
)
def test_a_price_with_three_decimals_is_exact(
    thousandths: tuple[int, int], tokens: tuple[int, int]
) -> None:
    price = Price(input_per_million=thousandths[0] / 1000, output_per_million=thousandths[1] / 1000)
    exact = thousandths[0] * tokens[0] + thousandths[1] * tokens[1]
    assert cost_nanos(price, *tokens) == exact


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        (QuotaPeriod.DAY, "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"),
        (QuotaPeriod.WEEK, "2026-10-19T00:00+02:00", "2026-10-26T00:00+01:00"),
        (QuotaPeriod.MONTH, "2026-10-01T00:00+02:00", "2026-11-01T00:00+01:00"),
    ],
)
def test_a_quotas_period_is_of_the_calendar(period: QuotaPeriod, start: str, end: str) -> None:
    # The clocks go back on that day.
    now = datetime(2026, 10, 25, 12, tzinfo=BERLIN).timestamp()
    expected = tuple(datetime.fromisoformat(one).timestamp() for one in (start, end))
    assert period_of(period, now, BERLIN) == expected


def test_a_total_has_no_end() -> None:
    assert period_of(QuotaPeriod.TOTAL, 1e9, BERLIN) == (0.0, math.inf)


@given(
    now=st.integers(0, 4_000_000_000),
    period=st.sampled_from([QuotaPeriod.DAY, QuotaPeriod.WEEK, QuotaPeriod.MONTH]),
    zone=st.sampled_from(ZONES),
)
def test_periods_follow_each_other_without_a_gap(now: int, period: QuotaPeriod, zone: Any) -> None:
    start, end = period_of(period, now, zone)
    assert start <= now < end
    assert period_of(period, end, zone)[0] == end
    assert period_of(period, end - 1, zone) == (start, end)


@pytest.mark.parametrize(
    ("start", "before", "expected"),
    [
        (hour_start, 0, "2026-03-31T10:00"),
        (hour_start, 47, "2026-03-29T11:00"),
        (hour_start, 56, "2026-03-29T01:00"),
        (day_start, 13, "2026-03-18T00:00"),
        (week_start, 0, "2026-03-30T00:00"),
        (week_start, 11, "2026-01-12T00:00"),
        (month_start, 1, "2026-02-01T00:00"),
        (month_start, 11, "2025-04-01T00:00"),
        (month_start, 3, "2025-12-01T00:00"),
    ],
)
def test_times_before_are_counted_in_the_calendar(
    start: Before, before: int, expected: str
) -> None:
    now = datetime(2026, 3, 31, 10, 17, 5, tzinfo=BERLIN).timestamp()
    at = start_before(start, now, before, BERLIN)
    assert datetime.fromtimestamp(at, BERLIN).replace(tzinfo=None).isoformat("T", "minutes") == (
        expected
    )


@given(
    at=st.integers(0, 4_000_000_000),
    start=st.sampled_from(STARTS),
    zone=st.sampled_from(ZONES),
)
def test_a_moment_lies_in_its_time_and_the_start_is_its_own(
    at: int, start: Before, zone: Any
) -> None:
    begin = start_before(start, at, 0, zone)
    assert begin <= at
    assert start_before(start, begin, 0, zone) == begin
    before = start_before(start, at, 1, zone)
    assert before < begin
    assert start_before(start, begin - 1, 0, zone) == before


@given(
    spans=st.lists(
        st.builds(
            UsedSpan,
            span_seconds=st.just(HOUR_SECONDS),
            start=(st.integers(0, 500_000) | st.integers(495_000, 495_100)).map(
                lambda hour: hour * HOUR_SECONDS
            ),
            key_id=st.sampled_from(["", "key-1", "key-2"]),
            key_name=st.sampled_from(["a", "b"]),
            user_id=st.sampled_from(["u-1", "u-2"]),
            user_name=st.sampled_from(["a", "b"]),
            service_id=st.sampled_from(["svc-1", "svc-2"]),
            access_name=st.sampled_from(["public/a", "public/b"]),
            **{name: st.integers(0, 9) for name in COUNTS},
        ),
        max_size=30,
    ),
    start=st.sampled_from(STARTS),
    zone=st.sampled_from(ZONES),
    member_of=st.sampled_from([by_model, by_key, by_user, by_service, all_together]),
)
def test_nothing_is_lost_and_nothing_counts_twice(
    spans: list[UsedSpan], start: Before, zone: Any, member_of: Callable[[UsedSpan], Member]
) -> None:
    sums = add_up(spans, start, zone, member_of)
    for name in COUNTS:
        assert sum(getattr(one, name) for one in sums) == sum(getattr(one, name) for one in spans)
    unique = {(one.at, one.name if member_of is by_model else one.id) for one in sums}
    assert len(unique) == len(sums)
    assert [one.at for one in sums] == sorted(one.at for one in sums)
