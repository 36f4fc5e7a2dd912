"""A disk that is full, for real: what is written then fails by name, and nothing else breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hydra_box.errors import DiskFull, StateError
from hydra_box.events import EventBus
from hydra_box.journal import ALARM, Journal
from hydra_box.store import Store, backup
from hydra_box.store.room import KEPT_BYTES, give_room, keep_room
from hydra_box.types import RequestRecord
from hydra_box.usage.journal import UsageJournal
from tests.samples import a_request, a_service, an_event
from tests.small_disk import SmallDisk, small_disk
from tests.store.bell import Bell


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", "4m") as disk:
        yield disk


async def test_a_write_that_finds_no_room_fails_alone(disk: SmallDisk) -> None:
    path = disk.path / "hydra-box.db"
    store = await Store.open(path)
    owner = await store.local_user()
    await asyncio.to_thread(disk.fill)

    async def write() -> None:
        for number in range(200):
            await store.save_service(a_service(f"s-{number}", owner_id=owner.id))

    with pytest.raises(DiskFull, match=r"hydra-box\.db cannot grow") as caught:
        await write()
    assert caught.value.hint == "free some space on its disk"
    before = await store.services()
    await asyncio.to_thread(disk.make_room)
    await store.save_service(a_service("after", owner_id=owner.id))
    assert [one.name for one in await store.services()] == [*(one.name for one in before), "after"]
    await store.close()


async def test_a_backup_that_finds_no_room_leaves_nothing(disk: SmallDisk) -> None:
    path = disk.path / "hydra-box.db"
    store = await Store.open(path)
    await store.add_event(an_event())
    await asyncio.to_thread(disk.fill)
    with pytest.raises(DiskFull, match=r"copy\.db cannot grow"):
        await asyncio.to_thread(backup.copy, path, disk.path / "copy.db")
    assert list(await asyncio.to_thread(disk.path.glob, "copy.db*")) == []
    await store.close()


async def test_events_wait_for_room(disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hydra_box.journal.RETRY_SECONDS", 0.01)
    store = await Store.open(disk.path / "hydra-box.db")
    journal, bell = Journal(store, EventBus()), Bell()
    journal.use_alarms(bell)
    journal.record("test.before", "before")
    await journal.flush()
    await asyncio.to_thread(disk.fill)
    for number in range(50):
        journal.record("test.full", f"{number} " * 500)
    await journal.flush()
    assert "cannot grow" in bell.raised[ALARM]
    await asyncio.to_thread(disk.make_room)
    async with asyncio.timeout(90):
        await bell.cleared.wait()
    await journal.close()
    kinds = [one.kind for one in await store.events()]
    assert kinds == ["test.before", *["test.full"] * 50]
    await store.close()


def append_all(journal: UsageJournal, kept: list[RequestRecord]) -> None:
    """Append until it fails."""
    while True:
        request = a_request()
        journal.append(request)
        kept.append(request)


def test_the_journal_of_usage_goes_on_when_there_is_room(disk: SmallDisk) -> None:
    path = disk.path / "usage-journal"
    journal, kept = UsageJournal(path), [a_request()]
    journal.append(kept[0])
    disk.fill()
    for _ in range(3):
        # The last page of the file has room for a few more.
        with pytest.raises(OSError, match="No space left"):
            append_all(journal, kept)
        journal.seal()
    disk.make_room()
    kept.append(a_request())
    journal.append(kept[-1])
    found = UsageJournal(path)
    assert [one for number in found.left() for one in found.read(number)] == kept
    assert len(found.left()) == 2


async def test_a_disk_that_is_read_only(disk: SmallDisk) -> None:
    path = disk.path / "hydra-box.db"
    store = await Store.open(path)
    await store.add_event(an_event("kept"))
    await store.close()
    await asyncio.to_thread(disk.remount, "ro")
    with pytest.raises(StateError, match=r"hydra-box\.db cannot be written"):
        await Store.open(path)


def test_no_room_is_kept_where_there_is_little(disk: SmallDisk) -> None:
    keep_room(disk.path)
    assert not give_room(disk.path)


def test_room_is_kept_where_there_is_plenty(tmp_path: Path) -> None:
    with small_disk(tmp_path / "larger", "32m") as disk:
        for _ in range(2):
            before = disk.free_bytes()
            keep_room(disk.path)
        assert disk.free_bytes() == before
        disk.fill()
        assert disk.free_bytes() == 0
        assert give_room(disk.path)
        assert disk.free_bytes() >= KEPT_BYTES
        assert not give_room(disk.path)
