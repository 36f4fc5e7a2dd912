from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from hydra_box.messages import UsageBy, UsagePer, UsageReport, UsageRow, UsageTotals
from hydra_box.shown.usage import tokens
from tui.widgets.usage_buckets import buckets, by_id
from tui.widgets.usage_table import share


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The console's zone; its clocks go back on 2026-10-25."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


def at(*parts: int, hours_east: float | None = None) -> float:
    """A moment of Berlin, or of a zone so far east."""
    zone = None if hours_east is None else timezone(timedelta(hours=hours_east))
    return datetime(*parts, tzinfo=zone).timestamp()  # type: ignore[arg-type, misc]


def report(per: UsagePer, since: float, until: float, *rows: UsageRow) -> UsageReport:
    return UsageReport(
        by=UsageBy.MODEL, per=per, since=since, until=until, rows=rows, totals=UsageTotals()
    )


def row(moment: float, id: str = "a", *, prompt: int = 1, completion: int = 0) -> UsageRow:
    return UsageRow(
        at=moment,
        name=id.upper(),
        id=id,
        requests=1,
        prompt_tokens=prompt,
        completion_tokens=completion,
    )


def test_hours_without_usage_are_there_too() -> None:
    since = at(2026, 10, 6, 22)
    rows = (row(since + 7200, prompt=3, completion=4), row(since + 7200, "b", prompt=10))
    told = report(UsagePer.HOUR, since, since + 5 * 3600 - 60, *rows)
    shown = buckets(told)
    assert [one.label for one in shown] == ["22:00", "23:00", "Wed 7", "01:00", "02:00"]
    assert [tokens(one.sums) for one in shown] == [0, 0, 17, 0, 0]
    assert [tokens(one.sums) for one in buckets(told, "a")] == [0, 0, 7, 0, 0]
    assert [one.midnight for one in shown] == [False, False, True, False, False]
    assert shown[2].name == "Wed 7 Oct 00:00"


def test_days_are_of_the_calendar_when_the_clocks_change() -> None:
    since = at(2026, 10, 24)
    shown = buckets(report(UsagePer.DAY, since, at(2026, 10, 27, 9), row(at(2026, 10, 26))))
    assert [one.at for one in shown] == [at(2026, 10, day) for day in (24, 25, 26, 27)]
    assert [one.sums.requests for one in shown] == [0, 0, 1, 0]
    assert [one.label for one in shown] == ["Sat 24", "Sun 25", "Mon 26", "Tue 27"]


def test_weeks_and_months() -> None:
    weeks = buckets(report(UsagePer.WEEK, at(2026, 10, 12), at(2026, 10, 27)))
    assert [one.name for one in weeks] == ["week of 12 Oct", "week of 19 Oct", "week of 26 Oct"]
    months = buckets(
        report(UsagePer.MONTH, at(2025, 12, 1), at(2026, 3, 1, 1), row(at(2026, 2, 1)))
    )
    assert [one.label for one in months] == ["Dec", "Jan", "Feb", "Mar"]
    assert [one.sums.requests for one in months] == [0, 0, 1, 0]


@pytest.mark.parametrize("east", [-8, -3.5, 0, 5.5, 9, 13])
def test_months_of_a_box_in_another_zone(east: float) -> None:
    since = at(2025, 11, 1, hours_east=east)
    # In its summer the clocks there are an hour ahead.
    rows = [row(at(2026, 4, 1, hours_east=east + 1)), row(at(2026, 2, 1, hours_east=east))]
    shown = buckets(report(UsagePer.MONTH, since, at(2026, 4, 15), *rows))
    assert [one.label for one in shown] == ["Nov", "Dec", "Jan", "Feb", "Mar", "Apr"]
    assert [one.sums.requests for one in shown] == [0, 0, 0, 1, 0, 1]


def test_sums_by_id_have_the_greatest_first_and_the_last_name() -> None:
    renamed = UsageRow(at=2.0, name="NEW", id="a", requests=1, prompt_tokens=5)
    sums = by_id([row(1.0), row(1.0, "b", prompt=20), row(1.0, "c", prompt=0), renamed])
    assert list(sums) == ["b", "a", "c"]
    assert sums["a"] == ("NEW", UsageTotals(requests=2, prompt_tokens=6))


def test_shares_are_of_the_tokens_or_else_of_the_requests() -> None:
    whole = UsageTotals(requests=4, prompt_tokens=200)
    assert share(UsageTotals(requests=3, prompt_tokens=50), whole) == ("██░░░░░", 25)
    assert share(UsageTotals(prompt_tokens=1), whole) == ("█░░░░░░", 0)
    assert share(UsageTotals(requests=3), UsageTotals(requests=4)) == ("█████░░", 75)
    assert share(UsageTotals(), UsageTotals()) == ("░░░░░░░", 0)
