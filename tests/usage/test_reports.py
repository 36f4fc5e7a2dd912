"""Reports: what is asked for, over which times, and single requests page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hydra_box.config import Settings
from hydra_box.errors import InvalidRequest
from hydra_box.messages import UsageBy, UsagePer, UsageReport, UsageTotals
from hydra_box.plan.usage import DAY_SECONDS, HOUR_SECONDS
from hydra_box.store import Store
from hydra_box.types import Outcome, RequestRecord
from hydra_box.usage import UsageBooks
from hydra_box.usage import reports as reports_module
from hydra_box.usage.journal import UsageJournal
from hydra_box.usage.reports import UsageReports
from tests.samples import a_request

NOW = datetime(2026, 11, 26, 9, 30, tzinfo=UTC).timestamp()
HOUR = int(NOW // HOUR_SECONDS) * HOUR_SECONDS


@pytest_asyncio.fixture
async def books(tmp_path: Path) -> AsyncIterator[UsageBooks]:
    store = await Store.open(tmp_path / "hydra-box.db")
    journal = UsageJournal(tmp_path / "usage-journal")
    made = UsageBooks(store, journal, Settings(), clock=lambda: NOW, zone=UTC)
    yield made
    await made.close()
    await store.close()


@pytest.fixture
def reports(books: UsageBooks) -> UsageReports:
    return UsageReports(books, currency="EUR", clock=lambda: NOW, zone=UTC)


def over(**changes: Any) -> RequestRecord:
    return a_request(**{"at": NOW, "prompt_tokens": 7, "completion_tokens": 3} | changes)


async def by_day(reports: UsageReports, by: UsageBy) -> UsageReport:
    return await reports.report(by, UsagePer.DAY, None, None)


async def exported(reports: UsageReports, **wanted: Any) -> list[RequestRecord]:
    values: dict[str, Any] = {"since": None, "until": None, "key": None, "service": None}
    values |= wanted
    pages = await reports.requests(
        values["since"], values["until"], key=values["key"], service=values["service"]
    )
    return [one async for page in pages for one in page]


async def test_rows_have_everything_and_none_where_nothing_is_known(
    books: UsageBooks, reports: UsageReports
) -> None:
    books.record(
        over(
            cached_tokens=4,
            reasoning_tokens=2,
            cost_nanos=1_500_000_000,
            energy_millijoules=7_200_000,
            outcome=Outcome.ENGINE_ERROR,
        )
    )
    books.record(over(access_name="public/free", service_id="svc-2", outcome=Outcome.REFUSED))
    report = await by_day(reports, UsageBy.MODEL)
    free, priced = report.rows
    assert (priced.cost, priced.energy_watt_hours) == (1.5, 2.0)
    assert (priced.cached_tokens, priced.reasoning_tokens) == (4, 2)
    assert (priced.failed_requests, priced.refused_requests) == (1, 0)
    assert (free.cost, free.energy_watt_hours) == (None, None)
    assert (free.failed_requests, free.refused_requests) == (0, 1)
    assert report.totals == UsageTotals(
        requests=2,
        failed_requests=1,
        refused_requests=1,
        prompt_tokens=14,
        cached_tokens=4,
        completion_tokens=6,
        reasoning_tokens=2,
        cost=1.5,
        energy_watt_hours=2.0,
    )
    assert report.currency == "EUR"


@pytest.mark.parametrize(
    ("by", "rows"),
    [
        (UsageBy.MODEL, [("svc-b", "public/a", 2), ("svc-a", "public/old", 1)]),
        (UsageBy.SERVICE, [("svc-a", "public/a", 2), ("svc-b", "public/a", 1)]),
        (UsageBy.KEY, [("", "(owner)", 1), ("key-1", "laptop", 2)]),
        (UsageBy.USER, [("u-1", "ann", 2), ("u-2", "bob", 1)]),
        (UsageBy.ALL, [("", "all", 3)]),
    ],
)
async def test_what_a_report_is_by(
    books: UsageBooks, reports: UsageReports, by: UsageBy, rows: list[tuple[str, str, int]]
) -> None:
    # A service was renamed and deleted, and another one got its name.
    ann = {"user_id": "u-1", "user_name": "ann"}
    bob = {"key_id": "", "user_id": "u-2", "user_name": "bob"}
    books.record(over(**ann, service_id="svc-a", access_name="public/old", at=NOW - 7200))
    books.record(over(**ann, service_id="svc-a", access_name="public/a", at=NOW - 3600))
    books.record(over(**bob, service_id="svc-b", access_name="public/a"))
    for _ in range(2):
        report = await by_day(reports, by)
        assert [(one.id, one.name, one.requests) for one in report.rows] == rows
        await books.flush()


@pytest.mark.parametrize(
    ("per", "since"),
    [
        (UsagePer.HOUR, "2026-11-12T10:00"),
        (UsagePer.DAY, "2026-11-13T00:00"),
        (UsagePer.WEEK, "2026-09-07T00:00"),
        (UsagePer.MONTH, "2025-12-01T00:00"),
    ],
)
async def test_how_long_back_a_report_goes(
    reports: UsageReports, per: UsagePer, since: str
) -> None:
    report = await reports.report(UsageBy.MODEL, per, None, None)
    assert datetime.fromtimestamp(report.since, UTC).strftime("%Y-%m-%dT%H:%M") == since
    assert (report.until, report.rows, report.totals) == (NOW, (), UsageTotals())


async def test_hours_from_since_on_and_before_until_count(
    books: UsageBooks, reports: UsageReports
) -> None:
    for back in range(5):
        books.record(over(at=HOUR - back * HOUR_SECONDS + 60.0))
    await books.flush()

    async def count(since: float | None, until: float | None) -> int:
        report = await reports.report(UsageBy.MODEL, UsagePer.HOUR, since, until)
        return report.totals.requests

    assert await count(HOUR - 4 * 3600, None) == 5
    assert await count(HOUR - 2 * 3600, HOUR) == 2
    # The hour that ``since`` lies in counts as a whole.
    assert await count(HOUR - 2 * 3600 + 1, HOUR) == 2
    assert await count(HOUR - 2 * 3600, HOUR + 1) == 3
    assert await count(None, HOUR - 3600) == 3


@pytest.mark.parametrize(
    ("since", "until", "param"),
    [
        (NOW, None, "since"),
        (NOW + DAY_SECONDS, None, "since"),
        (NOW, NOW - 1, "since"),
        (-1.0, None, "since"),
        (float("nan"), None, "since"),
        (None, float("inf"), "until"),
        (None, 1e300, "until"),
        (None, -5.0, "until"),
    ],
)
async def test_moments_that_are_none(
    reports: UsageReports, since: float | None, until: float | None, param: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await reports.report(UsageBy.MODEL, UsagePer.DAY, since, until)
    assert caught.value.param == param
    with pytest.raises(InvalidRequest):
        await reports.requests(since, until, key=None, service=None)


async def test_moments_in_the_wrong_order_are_told_as_dates(reports: UsageReports) -> None:
    day = ("2099-01-01 00:00 UTC", "2098-12-31 00:00 UTC")
    since = datetime(2099, 1, 1, tzinfo=UTC).timestamp()
    with pytest.raises(InvalidRequest, match=f"since, {day[0]}, is not before until, {day[1]}"):
        await reports.report(UsageBy.MODEL, UsagePer.DAY, since, since - DAY_SECONDS)


REQUESTS = st.lists(
    st.builds(
        over,
        at=st.floats(NOW - 600 * DAY_SECONDS, NOW - 1),
        key_id=st.sampled_from(["", "key-1", "key-2"]),
        service_id=st.sampled_from(["svc-1", "svc-2"]),
        prompt_tokens=st.integers(0, 10**6),
        cost_nanos=st.integers(0, 10**12),
        energy_millijoules=st.integers(0, 10**9),
    ),
    max_size=15,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    requests=REQUESTS,
    per=st.sampled_from(UsagePer),
    by=st.sampled_from(UsageBy),
    tidied=st.booleans(),
)
async def test_totals_are_the_sums_of_the_rows(
    books: UsageBooks,
    reports: UsageReports,
    requests: list[RequestRecord],
    per: UsagePer,
    by: UsageBy,
    tidied: bool,
) -> None:
    await books._store._database.run(lambda db: db.execute("DELETE FROM usage_sums"))
    for request in requests:
        books.record(request)
    await books.flush()
    if tidied:
        await books.tidy()
    report = await reports.report(by, per, 0, None)
    for name in ("requests", "prompt_tokens", "completion_tokens"):
        assert getattr(report.totals, name) == sum(getattr(one, name) for one in report.rows)
    assert report.totals.requests == len(requests)
    for name, whole, exact in (
        ("cost", 10**9, sum(one.cost_nanos for one in requests)),
        ("energy_watt_hours", 3_600_000, sum(one.energy_millijoules for one in requests)),
    ):
        parts = sum(round(Fraction(getattr(one, name) or 0) * whole) for one in report.rows)
        assert parts == exact == round(Fraction(getattr(report.totals, name) or 0) * whole)


# --- single requests ------------------------------------------------------------------


async def test_an_export_has_each_request_once_in_order(
    books: UsageBooks, reports: UsageReports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports_module, "PAGE_REQUESTS", 3)
    ended = [over(at=NOW - 1 - back // 2) for back in range(10, 0, -1)]
    for request in ended:
        books.record(request)
    assert await exported(reports) == ended
    assert await exported(reports, since=NOW - 3) == [one for one in ended if one.at >= NOW - 3]
    assert await exported(reports, until=NOW - 3) == [one for one in ended if one.at < NOW - 3]


async def test_an_export_is_of_two_weeks_and_of_whom_it_is_asked(
    books: UsageBooks, reports: UsageReports
) -> None:
    old = over(at=NOW - 15 * DAY_SECONDS)
    mine, other = over(at=NOW - 2), over(at=NOW - 1, key_id="key-2", key_name="phone")
    for request in (old, mine, other):
        books.record(request)
    assert await exported(reports) == [mine, other]
    assert await exported(reports, since=0) == [old, mine, other]
    assert await exported(reports, key="phone") == [other]
    assert await exported(reports, key="key-1", service="public/qwen2") == [mine]
    assert await exported(reports, key="key-1", service="qwen2") == [mine]
    assert await exported(reports, service="wen2") == []
    assert await exported(reports, service="public/none") == []
