"""The journal of late writes, while the store refuses them: nothing is lost that can be kept."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from hydra_box import journal as journal_module
from hydra_box.errors import NotFound
from hydra_box.events import EventBus
from hydra_box.journal import ALARM, Journal
from hydra_box.store import Store
from tests.samples import a_service
from tests.store.bell import Bell


@pytest_asyncio.fixture
async def store(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    monkeypatch.setattr("hydra_box.store.database.BUSY_TIMEOUT_SECONDS", 0.02)
    monkeypatch.setattr(journal_module, "RETRY_SECONDS", 0.01)
    opened = await Store.open(path)
    yield opened
    await opened.close()


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest_asyncio.fixture
async def journal(store: Store, bell: Bell) -> AsyncIterator[Journal]:
    made = Journal(store, EventBus())
    made.use_alarms(bell)
    yield made
    await made.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program writes, and does not end."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def kinds(store: Store) -> list[str]:
    return [one.kind for one in await store.events(limit=100_000)]


async def cleared(bell: Bell) -> None:
    async with asyncio.timeout(90):
        await bell.cleared.wait()


async def test_what_a_locked_store_refuses_is_stored_in_order(
    path: Path, store: Store, journal: Journal, bell: Bell
) -> None:
    owner = await store.local_user()
    service = a_service(owner_id=owner.id)
    with locked(path):
        journal.record("test.first", "first")
        journal.enqueue(lambda: store.save_service(service))
        journal.record("test.second", "second")
        await journal.flush()
        assert "locked by another program" in bell.raised[ALARM]
        assert await kinds(store) == []
    await cleared(bell)
    await journal.flush()
    assert await kinds(store) == ["test.first", "test.second"]
    assert await store.services() == [service]
    assert (bell.raised, set(bell.ever)) == ({}, {ALARM})


async def test_a_write_that_can_never_be_stored_holds_up_no_other(
    store: Store, journal: Journal, bell: Bell, caplog: pytest.LogCaptureFixture
) -> None:
    async def impossible() -> None:
        raise NotFound("its service is gone")

    journal.enqueue(impossible)
    journal.record("test.after", "after")
    await journal.flush()
    assert await kinds(store) == ["test.after"]
    assert "a write to the store failed" in caplog.text
    assert bell.ever == []


async def test_of_too_many_events_the_oldest_go_and_other_writes_stay(
    path: Path,
    store: Store,
    journal: Journal,
    bell: Bell,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(journal_module, "KEPT_EVENTS", 10)
    owner = await store.local_user()
    with locked(path):
        journal.record("test.0", "0")
        await journal.flush()
        journal.enqueue(lambda: store.save_service(a_service(owner_id=owner.id)))
        for number in range(1, 30):
            journal.record(f"test.{number}", str(number))
    await cleared(bell)
    await journal.flush()
    assert len(await store.services()) == 1
    found = await kinds(store)
    # The one that was being tried, and those that were lost, make up the rest.
    assert found[-9:] == [f"test.{number}" for number in range(21, 30)]
    assert 9 <= len(found) <= 10
    assert "could not be kept until then, and are lost" in caplog.text


async def test_closing_does_not_wait_for_a_store_that_refuses(
    path: Path, store: Store, bell: Bell, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(store, EventBus())
    with locked(path):
        for number in range(20):
            journal.record("test.late", str(number))
        async with asyncio.timeout(90):
            await journal.close()
    assert await kinds(store) == []
    assert "20 events and changes could not be stored, and are lost" in caplog.text
