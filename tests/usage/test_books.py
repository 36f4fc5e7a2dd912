"""The books: nothing is lost, nothing counts twice, also what is in memory or was left there."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from hydra_box.clock_trust import ClockTrust
from hydra_box.config import Settings
from hydra_box.errors import StateError
from hydra_box.local_zone import LocalZone
from hydra_box.plan.usage import DAY_SECONDS, HOUR_SECONDS, QuotaUse
from hydra_box.store import Store
from hydra_box.store.requests import RequestsPage
from hydra_box.types import Outcome, RequestRecord
from hydra_box.usage import UsageBooks
from hydra_box.usage import books as usage_module
from hydra_box.usage.journal import UsageJournal
from tests.samples import a_request

NOW = datetime(2026, 11, 26, 9, 30, tzinfo=UTC).timestamp()
"""A Thursday."""
FOREVER = 1 << 40


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


@pytest.fixture(autouse=True)
def no_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is stored by itself: two seconds may pass between two lines of a test."""
    monkeypatch.setattr(usage_module, "WRITE_SECONDS", 3600.0)
    monkeypatch.setattr(usage_module, "RETRY_SECONDS", 3600.0)


def segments(tmp_path: Path) -> list[str]:
    return sorted(one.name for one in tmp_path.iterdir() if one.name.startswith("usage-journal."))


@pytest_asyncio.fixture
async def books(store: Store, clock: Clock, tmp_path: Path) -> AsyncIterator[UsageBooks]:
    made = a_book(store, clock, tmp_path)
    yield made
    await made.close()


def a_book(store: Store, clock: Clock, tmp_path: Path, **more: Any) -> UsageBooks:
    journal = UsageJournal(tmp_path / "usage-journal")
    return UsageBooks(store, journal, Settings(), clock=clock, zone=UTC, **more)


def over(prompt: int = 7, completion: int = 3, **changes: Any) -> RequestRecord:
    """A request that is over now."""
    return a_request(
        **{"at": NOW, "prompt_tokens": prompt, "completion_tokens": completion} | changes
    )


async def used(books: UsageBooks) -> tuple[int, int]:
    """Requests and prompt tokens, in memory and in the store."""
    spans = await books.used(0, FOREVER)
    return sum(one.requests for one in spans), sum(one.prompt_tokens for one in spans)


async def stored(store: Store) -> list[RequestRecord]:
    page = RequestsPage(after_at=0.0, until=float(FOREVER))
    return [one for _, one in await store.requests(page)]


async def until_stored(store: Store, requests: int) -> None:
    """Let the loop run until the writer has stored so many."""
    async with asyncio.timeout(60):
        # The writer has no event to wait for.
        while len(await stored(store)) < requests:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_what_is_in_memory_counts_before_and_after_it_is_stored(
    books: UsageBooks, store: Store, tmp_path: Path
) -> None:
    books.record(over())
    books.record(over(100, 0, outcome=Outcome.ENGINE_ERROR))
    assert await stored(store) == []
    assert await used(books) == (2, 107)
    await books.flush()
    assert len(await stored(store)) == 2
    assert await used(books) == (2, 107)
    books.record(over(1, 1))
    assert await used(books) == (3, 108)
    assert segments(tmp_path) == ["usage-journal.2"]
    await books.flush()
    await books.flush()
    assert await used(books) == (3, 108)
    assert segments(tmp_path) == []


async def test_what_was_used_is_told_by_the_hour_of_its_end(books: UsageBooks) -> None:
    hour = int(NOW // HOUR_SECONDS) * HOUR_SECONDS
    for at in (hour - 0.1, hour, hour + 3599.9):
        books.record(over(at=at))
    for _ in range(2):
        assert sum(one.requests for one in await books.used(hour, hour + HOUR_SECONDS)) == 2
        assert sum(one.requests for one in await books.used(0, hour)) == 1
        await books.flush()


async def test_it_is_stored_by_itself(
    books: UsageBooks, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_module, "WRITE_SECONDS", 0.001)
    for count in (1, 2):
        books.record(over())
        await until_stored(store, count)


async def test_the_rest_is_stored_at_the_end(store: Store, clock: Clock, tmp_path: Path) -> None:
    books = a_book(store, clock, tmp_path)
    await books.close()
    books.record(over())
    await asyncio.sleep(0)
    await books.close()
    assert len(await stored(store)) == 1
    assert segments(tmp_path) == []


# --- when something fails -------------------------------------------------------


async def test_a_write_that_fails_is_tried_again_and_counts_meanwhile(
    books: UsageBooks, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(records: object) -> None:
        # Meanwhile there is more.
        books.record(over())
        raise StateError("the disk is full")

    books.record(over())
    with monkeypatch.context() as patched:
        patched.setattr(store, "add_requests", fails)
        with pytest.raises(StateError):
            await books.flush()
    assert await used(books) == (2, 14)
    assert segments(tmp_path) == ["usage-journal.1", "usage-journal.2"]
    await books.flush()
    assert len(await stored(store)) == 2
    assert segments(tmp_path) == []


async def test_the_writer_outlives_a_full_disk(
    books: UsageBooks,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(usage_module, "WRITE_SECONDS", 0.001)
    monkeypatch.setattr(usage_module, "RETRY_SECONDS", 0.001)
    really, tries = store.add_requests, 0

    async def fails_once(records: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise StateError("the disk is full")
        await really(records)

    monkeypatch.setattr(store, "add_requests", fails_once)
    books.record(over())
    await until_stored(store, 1)
    assert "usage could not be stored" in caplog.text


async def test_the_writer_outlives_what_nobody_thought_of(
    books: UsageBooks, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_module, "WRITE_SECONDS", 0.001)
    monkeypatch.setattr(usage_module, "RETRY_SECONDS", 0.001)
    really, tries = store.add_requests, 0

    async def fails_once(records: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ValueError("this cannot be")
        await really(records)

    monkeypatch.setattr(store, "add_requests", fails_once)
    books.record(over())
    await until_stored(store, 1)


async def test_what_cannot_be_written_is_told_until_it_is(
    books: UsageBooks, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(records: object) -> None:
        raise StateError("the disk is full")

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    books.record(over())
    assert books.trouble() is None
    with monkeypatch.context() as patched:
        patched.setattr(store, "add_requests", fails)
        with pytest.raises(StateError):
            await books.flush()
        told = books.trouble()
        assert told is not None
        assert "1 request is not in the database (the disk is full)" in told.message
        patched.setattr(os, "write", full)
        books.record(over())
        told = books.trouble()
        assert told is not None
        assert told.message.endswith("and some are in memory only")
    books.record(over())
    await books.flush()
    assert books.trouble() is None


async def test_who_gives_up_waiting_loses_nothing(books: UsageBooks, store: Store) -> None:
    books.record(over())
    waiting = asyncio.create_task(books.flush())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    await books.flush()
    assert (await used(books), len(await stored(store))) == ((1, 7), 1)


async def test_a_journal_that_cannot_be_written_fails_no_request(
    books: UsageBooks,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        books.record(over())
        books.record(over())
    books.record(over())
    assert caplog.text.count("cannot be written in the journal") == 1
    assert await used(books) == (3, 21)
    await books.flush()
    assert len(await stored(store)) == 3


async def test_one_that_cannot_be_stored_holds_up_no_other(
    books: UsageBooks, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, impossible, also_good = over(), over(2**70), over()
    for one in (good, impossible, also_good):
        books.record(one)
    await books.flush()
    assert await stored(store) == [good, also_good]
    assert await used(books) == (2, 14)
    assert impossible.id in caplog.text
    assert impossible.id in (tmp_path / "usage-journal.unreadable").read_text()
    assert segments(tmp_path) == ["usage-journal.unreadable"]


# --- after a daemon that was killed -----------------------------------------------


async def test_what_was_left_is_stored_once(
    store: Store, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left = [over() for _ in range(3)]
    killed = UsageJournal(tmp_path / "usage-journal")
    for one in left:
        killed.append(one)
    # It had stored two of them, and not removed its segment.
    await store.add_requests(left[:2])
    for _ in range(2):
        books = a_book(store, clock, tmp_path)
        await books.replay()
        assert await used(books) == (3, 21)
        assert await stored(store) == left
        assert segments(tmp_path) == []
        await books.close()


async def test_a_segment_that_stays_is_not_counted_again(
    books: UsageBooks,
    store: Store,
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def denied(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    books.record(over())
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", denied)
        await books.flush()
    assert "cannot be removed" in caplog.text
    assert segments(tmp_path) == ["usage-journal.1"]
    after = a_book(store, clock, tmp_path)
    await after.replay()
    assert await used(after) == (1, 7)
    assert segments(tmp_path) == []
    await after.close()


async def test_what_cannot_be_stored_at_the_start_counts_and_is_stored_later(
    store: Store, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(records: object) -> None:
        raise StateError("the disk is full")

    UsageJournal(tmp_path / "usage-journal").append(over())
    books = a_book(store, clock, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(store, "add_requests", fails)
        await books.replay()
        assert await used(books) == (1, 7)
        assert segments(tmp_path) == ["usage-journal.1"]
    await books.close()
    assert len(await stored(store)) == 1


async def test_a_journal_that_cannot_be_read_is_told(
    store: Store, clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / "usage-journal.1").mkdir()
    with pytest.raises(StateError, match=r"usage-journal\.1 cannot be read") as caught:
        await a_book(store, clock, tmp_path).replay()
    assert caught.value.hint


# --- energy -----------------------------------------------------------------------


async def test_the_energy_of_a_batch_is_shared_once(
    store: Store, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def share(requests: Sequence[RequestRecord]) -> Mapping[str, int]:
        asked.append([one.id for one in requests])
        return {requests[0].id: 50}

    async def fails(records: object) -> None:
        raise StateError("the disk is full")

    books = a_book(store, clock, tmp_path, share_energy=share)
    first, second = over(), over()
    books.record(first)
    books.record(second)
    with monkeypatch.context() as patched:
        patched.setattr(store, "add_requests", fails)
        with pytest.raises(StateError):
            await books.flush()
    # What was drawn until the next try is added.
    await books.close()
    assert [one.energy_millijoules for one in await stored(store)] == [100, 0]
    assert asked == [[first.id, second.id]] * 2
    assert sum(one.energy_millijoules for one in await books.used(0, FOREVER)) == 100


# --- what gets old ------------------------------------------------------------------


async def test_what_is_old_is_added_up_and_single_requests_go(
    books: UsageBooks, store: Store, clock: Clock
) -> None:
    for days in (0, 1, 3, 29, 31, 399, 402):
        books.record(over(at=NOW - days * DAY_SECONDS))
    await books.flush()
    await books.tidy()
    ages = [round((NOW - one.at) / DAY_SECONDS) for one in await stored(store)]
    assert ages == [29, 3, 1, 0]

    async def spans() -> list[int]:
        sql = "SELECT span_seconds FROM usage_sums ORDER BY start"
        rows = await store._database.run(lambda db: db.execute(sql).fetchall())
        return [span for (span,) in rows]

    assert await spans() == [DAY_SECONDS, *[HOUR_SECONDS] * 4, 60, 60]
    assert await used(books) == (7, 49)
    clock.now += 500 * DAY_SECONDS
    await books.tidy()
    assert await spans() == [DAY_SECONDS] * 7
    assert (await used(books), await stored(store)) == ((7, 49), [])


async def test_it_is_tidied_by_itself_again_and_again(
    books: UsageBooks, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_module, "TIDY_SECONDS", 0.001)
    really, tries = store.roll_up_usage, 0

    async def fails_once(span: int, into: int, before: int) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise StateError("the file is locked")
        await really(span, into, before)

    monkeypatch.setattr(store, "roll_up_usage", fails_once)
    books.record(over(at=NOW - 31 * DAY_SECONDS))
    await books.flush()
    tidying = asyncio.create_task(books.keep_tidy())
    async with asyncio.timeout(60):
        while await stored(store):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)
    tidying.cancel()
    await asyncio.wait([tidying])
    assert await used(books) == (1, 7)


async def test_by_a_clock_that_was_just_set_nothing_is_forgotten(
    books: UsageBooks, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_module, "TIDY_SECONDS", 0.001)
    looks = 0

    def doubts(_trust: ClockTrust) -> bool:
        nonlocal looks
        looks += 1
        return False

    monkeypatch.setattr(ClockTrust, "is_earned", doubts)
    books.record(over())
    await books.flush()
    clock.now += 500 * DAY_SECONDS
    tidying = asyncio.create_task(books.keep_tidy())
    async with asyncio.timeout(60):
        while looks < 3:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)
    tidying.cancel()
    await asyncio.wait([tidying])
    assert len(await stored(store)) == 1


# --- quotas -------------------------------------------------------------------------


async def test_a_quota_counts_public_services_in_the_present_periods(books: UsageBooks) -> None:
    def ago(days: float, prompt: int, **changes: Any) -> None:
        books.record(over(prompt, 0, at=NOW - days * DAY_SECONDS, **changes))

    ago(0, 1)
    ago(1, 10)
    ago(4, 100)
    ago(20, 1000)
    ago(40, 10_000)
    ago(0, 5, access_name="u-1100a15812cc/own", service_id="svc-own")
    ago(0, 3, key_id="key-2")
    expected = {
        "key-1": QuotaUse(day=1, week=11, month=1111, total=11_111),
        "key-2": QuotaUse(day=3, week=3, month=3, total=3),
    }
    assert await books.quota_use() == expected
    await books.flush()
    assert await books.quota_use() == expected
    await books.tidy()
    assert await books.quota_use() == expected


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
    for at in range(int(year), int(year) + 366 * DAY_SECONDS, 900):
        here, there = datetime.fromtimestamp(at, local), datetime.fromtimestamp(at, zone)
        assert (here.replace(tzinfo=None), here.fold) == (there.replace(tzinfo=None), there.fold)
        assert (here.utcoffset(), here.timestamp()) == (there.utcoffset(), at)


# --- when the memory must not fill ------------------------------------------------


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """So many single requests stay in memory."""
    monkeypatch.setattr(usage_module, "KEPT_REQUESTS", 10)
    return 10


@pytest.fixture
def refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The store refuses requests until ``undo``."""

    async def fails(records: object) -> None:
        raise StateError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(store, "add_requests", fails)
        yield patched


async def test_what_is_in_the_journal_need_not_be_in_memory(
    books: UsageBooks,
    store: Store,
    tmp_path: Path,
    few: int,
    refused: pytest.MonkeyPatch,
) -> None:
    sent = [over(at=NOW + number, completion=number) for number in range(57)]
    for at, one in enumerate(sent):
        books.record(one)
        if at == 3:
            with pytest.raises(StateError):
                await books.flush()
    assert len(books._backlog.requests) <= few
    assert await used(books) == (57, 57 * 7)
    told = books.trouble()
    assert told is not None
    assert "57 requests are not in the database" in told.message
    with pytest.raises(StateError):
        await books.flush()
    assert await used(books) == (57, 57 * 7)
    refused.undo()
    await books.flush()
    assert await stored(store) == sent
    assert await used(books) == (57, 57 * 7)
    assert books.trouble() is None
    assert segments(tmp_path) == []


async def test_what_is_nowhere_else_stays_as_sums(
    books: UsageBooks,
    store: Store,
    few: int,
    refused: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    refused.setattr(os, "write", full)
    books.record(over())
    with pytest.raises(StateError):
        await books.flush()
    for _ in range(56):
        books.record(over())
    assert len(books._backlog.requests) <= few
    assert await used(books) == (57, 57 * 7)
    assert "stay as sums only" in caplog.text
    refused.undo()
    await books.flush()
    assert await used(books) == (57, 57 * 7)
    assert len(await stored(store)) == 57 - 5 * few
    await books.flush()
    assert await used(books) == (57, 57 * 7)


async def test_what_is_in_memory_only_goes_into_the_journal_when_it_has_room(
    books: UsageBooks, store: Store, clock: Clock, tmp_path: Path, refused: pytest.MonkeyPatch
) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "write", full)
        books.record(over())
        with pytest.raises(StateError):
            await books.flush()
    with pytest.raises(StateError):
        await books.flush()
    # A daemon that is killed now has lost nothing.
    refused.undo()
    after = a_book(store, clock, tmp_path)
    await after.replay()
    assert await used(after) == (1, 7)
    await after.close()


async def test_a_journal_of_days_is_stored_part_by_part(
    store: Store, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, left = UsageJournal(tmp_path / "usage-journal"), [over() for _ in range(60)]
    for at, one in enumerate(left):
        killed.append(one)
        if at % 20 == 19:
            killed.seal()
    sizes, really = [], store.add_requests

    async def counts(records: Any) -> None:
        sizes.append(len(records))
        await really(records)

    monkeypatch.setattr(store, "add_requests", counts)
    books = a_book(store, clock, tmp_path)
    await books.replay()
    assert sizes == [20, 20, 20]
    assert await stored(store) == left
    assert await used(books) == (60, 420)
    assert segments(tmp_path) == []
    await books.close()


async def test_a_journal_that_was_full_is_no_trouble_once_all_is_stored(books: UsageBooks) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "write", full)
        books.record(over())
        assert books.trouble() is not None
    await books.flush()
    assert books.trouble() is None
