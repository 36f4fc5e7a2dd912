"""From hours of UTC to the rows of a report, in whatever time zone the box stands."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.plan.usage import (
    HOUR_SECONDS,
    Before,
    UsageHour,
    UsageSum,
    add_up,
    day_start,
    hour_start,
    month_start,
    start_before,
    week_start,
)

BERLIN = ZoneInfo("Europe/Berlin")
KOLKATA = ZoneInfo("Asia/Kolkata")
HAVANA = ZoneInfo("America/Havana")
"""Its clocks skip midnight in spring."""
ZONES = (UTC, BERLIN, KOLKATA, HAVANA, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Kathmandu"))
STARTS: tuple[Before, ...] = (hour_start, day_start, week_start, month_start)


def hour_of(text: str) -> int:
    """The hour that begins at a UTC time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() // HOUR_SECONDS)


def an_hour(hour: int, **changes: Any) -> UsageHour:
    values: dict[str, Any] = {
        "hour": hour,
        "key_id": "key-1",
        "key_name": "laptop",
        "service_id": "svc-1",
        "access_name": "public/demo",
        "requests": 1,
    }
    return UsageHour(**values | changes)


def told(sums: Iterable[UsageSum], zone: Any) -> list[tuple[str, str, int]]:
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
    sums = add_up([an_hour(hour_of(one)) for one in times], start, BERLIN, by_key=False)
    assert told(sums, BERLIN) == [(when, "public/demo", count) for when, count in expected]


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)]
)
def test_days_on_which_the_clocks_change_have_all_their_hours(day: str, hours: int) -> None:
    begin = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    first = int(begin.timestamp()) // HOUR_SECONDS
    around = [an_hour(hour) for hour in range(first - 5, first + 30)]
    by_day = {one.at: one.requests for one in add_up(around, day_start, BERLIN, by_key=False)}
    assert by_day[begin.timestamp()] == hours
    each = add_up(around, hour_start, BERLIN, by_key=False)
    assert [one.requests for one in each] == [1] * 35


def test_a_day_without_midnight_begins_at_one() -> None:
    noon = datetime(2026, 3, 8, 12, tzinfo=HAVANA)
    begin = datetime.fromtimestamp(day_start(noon).timestamp(), HAVANA)
    assert f"{begin:%Y-%m-%d %H:%M}" == "2026-03-08 01:00"


def test_an_hour_belongs_to_the_day_in_which_it_begins() -> None:
    # 18:00 UTC is 23:30 in Kolkata.
    hours = [an_hour(hour_of("2026-11-01T18:00")), an_hour(hour_of("2026-11-01T19:00"))]
    days = add_up(hours, day_start, KOLKATA, by_key=False)
    assert [when for when, _, _ in told(days, KOLKATA)] == [
        "Sun 2026-11-01 00:00",
        "Mon 2026-11-02 00:00",
    ]


def test_sums_are_by_key_or_by_access_name() -> None:
    hours = [
        an_hour(11, service_id="svc-9", prompt_tokens=5, failed_requests=1, key_name="notebook"),
        an_hour(10, key_id="key-2", key_name="phone", completion_tokens=7),
        an_hour(10, service_id="svc-2", access_name="public/a"),
    ]
    by_model = add_up(hours, day_start, UTC, by_key=False)
    # Who has the name now, and who had it before, are one model to those who call it.
    assert [(one.id, one.name, one.requests) for one in by_model] == [
        ("svc-2", "public/a", 1),
        ("svc-9", "public/demo", 2),
    ]
    assert (by_model[1].prompt_tokens, by_model[1].completion_tokens) == (5, 7)
    assert by_model[1].failed_requests == 1
    by_key = add_up(hours, day_start, UTC, by_key=True)
    assert [(one.id, one.name, one.requests) for one in by_key] == [
        ("key-1", "notebook", 2),
        ("key-2", "phone", 1),
    ]


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
    hours=st.lists(
        st.builds(
            UsageHour,
            hour=st.integers(0, 500_000) | st.integers(495_000, 495_100),
            key_id=st.sampled_from(["", "key-1", "key-2"]),
            key_name=st.sampled_from(["a", "b"]),
            service_id=st.sampled_from(["svc-1", "svc-2"]),
            access_name=st.sampled_from(["public/a", "public/b"]),
            requests=st.integers(0, 9),
            failed_requests=st.integers(0, 9),
            prompt_tokens=st.integers(0, 9),
            completion_tokens=st.integers(0, 9),
        ),
        max_size=30,
    ),
    start=st.sampled_from(STARTS),
    zone=st.sampled_from(ZONES),
    by_key=st.booleans(),
)
def test_nothing_is_lost_and_nothing_counts_twice(
    hours: list[UsageHour], start: Before, zone: Any, by_key: bool
) -> None:
    sums = add_up(hours, start, zone, by_key=by_key)
    for name in ("requests", "failed_requests", "prompt_tokens", "completion_tokens"):
        assert sum(getattr(one, name) for one in sums) == sum(getattr(one, name) for one in hours)
    assert len({(one.at, one.id if by_key else one.name) for one in sums}) == len(sums)
    assert [one.at for one in sums] == sorted(one.at for one in sums)
