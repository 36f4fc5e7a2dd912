"""The books of what was used: nothing is lost, nothing counts twice, also what is in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from hydra_box import usage as usage_module
from hydra_box.errors import InvalidRequest, StateError
from hydra_box.gateway.finished import Finished
from hydra_box.gateway.stream import Usage
from hydra_box.local_zone import LocalZone
from hydra_box.messages import UsageBy, UsagePer, UsageReport, UsageTotals
from hydra_box.plan.usage import UsageHour
from hydra_box.store import Store
from hydra_box.usage import OWNER, UsageBooks

NOW = datetime(2026, 11, 26, 9, 30, tzinfo=UTC).timestamp()
HOUR = int(NOW // 3600)
DAY = 86_400


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path / "hydra-box.db")
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def books(store: Store, clock: Clock) -> AsyncIterator[UsageBooks]:
    made = UsageBooks(store, clock=clock, zone=UTC)
    yield made
    await made.close()


def finished(prompt: int = 7, completion: int = 3, **changes: Any) -> Finished:
    values: dict[str, Any] = {
        "key_id": "key-1",
        "key_name": "laptop",
        "service_id": "svc-1",
        "access_name": "public/demo",
        "failed": False,
        "usage": Usage(prompt_tokens=prompt, completion_tokens=completion),
    }
    return Finished(**values | changes)


async def by_day(books: UsageBooks, by: UsageBy = UsageBy.MODEL) -> UsageReport:
    return await books.report(by, UsagePer.DAY, None, None)


async def stored(store: Store) -> list[UsageHour]:
    return await store.usage(0, HOUR + 100)


async def until_stored(store: Store, requests: int) -> None:
    """Let the loop run until the writer has written so many."""
    async with asyncio.timeout(10):
        # The writer has no event to wait for.
        while sum(one.requests for one in await stored(store)) < requests:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_what_is_in_memory_counts_before_and_after_it_is_written(
    books: UsageBooks, store: Store
) -> None:
    totals = UsageTotals(requests=2, failed_requests=1, prompt_tokens=107, completion_tokens=3)
    books.record(finished())
    books.record(finished(100, 0, failed=True))
    assert await stored(store) == []
    assert (await by_day(books)).totals == totals
    await books.flush()
    (row,) = await stored(store)
    assert (row.hour, row.requests, row.prompt_tokens) == (HOUR, 2, 107)
    assert (await by_day(books)).totals == totals
    books.record(finished(1, 1))
    assert (await by_day(books)).totals.requests == 3
    await books.flush()
    (row,) = await stored(store)
    assert (row.requests, row.failed_requests) == (3, 1)
    assert (row.prompt_tokens, row.completion_tokens) == (108, 4)
    await books.flush()
    assert await stored(store) == [row]


async def test_each_hour_key_and_service_has_its_row(
    books: UsageBooks, store: Store, clock: Clock
) -> None:
    books.record(finished())
    books.record(finished(key_id=None, key_name="local user"))
    books.record(finished(service_id="svc-2", access_name="public/other"))
    clock.now += 1801
    books.record(finished())
    await books.flush()
    assert [
        (one.hour, one.key_id, one.key_name, one.service_id) for one in await stored(store)
    ] == [
        (HOUR, "", OWNER, "svc-1"),
        (HOUR, "key-1", "laptop", "svc-1"),
        (HOUR, "key-1", "laptop", "svc-2"),
        (HOUR + 1, "key-1", "laptop", "svc-1"),
    ]
    by_key = await by_day(books, UsageBy.KEY)
    assert [(row.id, row.name, row.requests) for row in by_key.rows] == [
        ("", OWNER, 1),
        ("key-1", "laptop", 3),
    ]
    by_model = await by_day(books)
    assert [(row.name, row.requests) for row in by_model.rows] == [
        ("public/demo", 3),
        ("public/other", 1),
    ]


async def test_a_service_with_a_new_access_name_has_that_one(
    books: UsageBooks, store: Store
) -> None:
    books.record(finished())
    await books.flush()
    books.record(finished(access_name="public/renamed"))
    await books.flush()
    (row,) = await stored(store)
    assert (row.access_name, row.requests) == ("public/renamed", 2)


async def test_it_is_written_by_itself(
    books: UsageBooks, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_module, "WRITE_SECONDS", 0.001)
    for count in (1, 2):
        books.record(finished())
        await until_stored(store, count)


async def test_the_rest_is_written_at_the_end(store: Store, clock: Clock) -> None:
    books = UsageBooks(store, clock=clock, zone=UTC)
    await books.close()
    books.record(finished())
    await asyncio.sleep(0)
    await books.close()
    assert [one.requests for one in await stored(store)] == [1]


async def test_a_write_that_fails_is_tried_again_and_counts_meanwhile(
    books: UsageBooks, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(hours: object) -> None:
        # Meanwhile there is more.
        books.record(finished())
        raise StateError("the disk is full")

    books.record(finished())
    with monkeypatch.context() as patched:
        patched.setattr(store, "add_usage", fails)
        with pytest.raises(StateError):
            await books.flush()
    assert (await by_day(books)).totals.requests == 2
    await books.flush()
    assert [one.requests for one in await stored(store)] == [2]


async def test_the_writer_outlives_a_full_disk(
    books: UsageBooks,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(usage_module, "WRITE_SECONDS", 0.001)
    monkeypatch.setattr(usage_module, "RETRY_SECONDS", 0.001)
    really, tries = store.add_usage, 0

    async def fails_once(hours: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise StateError("the disk is full")
        await really(hours)

    monkeypatch.setattr(store, "add_usage", fails_once)
    books.record(finished())
    await until_stored(store, 1)
    assert "usage could not be stored" in caplog.text


# --- reports ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("per", "since"),
    [
        (UsagePer.HOUR, "2026-11-24T10:00"),
        (UsagePer.DAY, "2026-11-13T00:00"),
        (UsagePer.WEEK, "2026-09-07T00:00"),
        (UsagePer.MONTH, "2025-12-01T00:00"),
    ],
)
async def test_how_long_back_a_report_goes(books: UsageBooks, per: UsagePer, since: str) -> None:
    report = await books.report(UsageBy.MODEL, per, None, None)
    assert datetime.fromtimestamp(report.since, UTC).strftime("%Y-%m-%dT%H:%M") == since
    assert (report.until, report.rows, report.totals) == (NOW, (), UsageTotals())


async def test_hours_from_since_on_and_before_until_count(books: UsageBooks, store: Store) -> None:
    def used(hour: int) -> UsageHour:
        return UsageHour(
            hour=hour,
            key_id="key-1",
            key_name="laptop",
            service_id="svc-1",
            access_name="public/demo",
            requests=1,
        )

    await store.add_usage([used(HOUR - back) for back in range(5)])

    async def count(since: float | None, until: float | None) -> int:
        report = await books.report(UsageBy.MODEL, UsagePer.HOUR, since, until)
        return report.totals.requests

    begin = HOUR * 3600
    assert await count(begin - 4 * 3600, None) == 5
    assert await count(begin - 2 * 3600, begin) == 2
    # The hour that ``since`` lies in counts as a whole.
    assert await count(begin - 2 * 3600 + 1, begin) == 2
    assert await count(begin - 2 * 3600, begin + 1) == 3
    assert await count(None, begin - 3600) == 3


@pytest.mark.parametrize(
    ("since", "until", "param"),
    [
        (NOW, None, "since"),
        (NOW + DAY, None, "since"),
        (NOW, NOW - 1, "since"),
        (-1.0, None, "since"),
        (float("nan"), None, "since"),
        (None, float("inf"), "until"),
        (None, 1e300, "until"),
        (None, -5.0, "until"),
    ],
)
async def test_moments_that_are_none(
    books: UsageBooks, since: float | None, until: float | None, param: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await books.report(UsageBy.MODEL, UsagePer.DAY, since, until)
    assert caught.value.param == param


# --- the time zone ------------------------------------------------------------


@pytest.fixture(params=["Europe/Berlin", "America/Havana", "Asia/Kathmandu", "UTC"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ZoneInfo]:
    """This process is there for the test."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", request.param)
        time.tzset()
        yield ZoneInfo(request.param)
    time.tzset()


def test_the_local_zone_is_the_machines_all_year(zone: ZoneInfo) -> None:
    local = LocalZone()
    year = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    for at in range(int(year), int(year) + 366 * DAY, 900):
        here, there = datetime.fromtimestamp(at, local), datetime.fromtimestamp(at, zone)
        assert (here.replace(tzinfo=None), here.fold) == (there.replace(tzinfo=None), there.fold)
        assert (here.utcoffset(), here.timestamp()) == (there.utcoffset(), at)
