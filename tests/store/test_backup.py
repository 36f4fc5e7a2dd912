"""Copies of the database: of one that is being written, locked, damaged or full of junk."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from hydra_box.errors import DamagedState, StateError
from hydra_box.store import Store, backup
from hydra_box.store.inspection import inspect
from hydra_box.store.schema import STEPS
from tests.samples import an_event

MIGRATIONS = tuple(step.__name__ for step in STEPS)


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Store]:
    store = await Store.open(path)
    try:
        yield store
    finally:
        await store.close()


async def messages(path: Path) -> list[str]:
    async with opened(path) as store:
        return [one.message for one in await store.events(limit=10_000)]


def damage(path: Path, start: float = 0.25) -> None:
    """Overwrite pages from a part of the file on, as a failing disk does."""
    size = path.stat().st_size
    begin = int(size * start) // 4096 * 4096
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(b"\xa5" * ((size - begin) * 2 // 3))


def names(directory: Path) -> list[str]:
    return sorted(one.name for one in directory.iterdir())


async def test_a_copy_of_one_that_is_being_written_is_of_one_moment(
    path: Path, tmp_path: Path
) -> None:
    target = tmp_path / "copy.db"
    async with opened(path) as store:
        done = asyncio.Event()

        async def write() -> int:
            number = 0
            while not done.is_set():
                number += 1
                await store.add_event(an_event(str(number)))
            return number

        writing = asyncio.create_task(write())
        for _ in range(20):
            await asyncio.to_thread(backup.copy, path, target)
        done.set()
        assert await writing > 0
    found = await messages(target)
    assert found == [str(number) for number in range(1, len(found) + 1)]


async def test_a_copy_is_private_and_one_file(path: Path, tmp_path: Path) -> None:
    async with opened(path) as store:
        await store.add_event(an_event("one"))
        directory = tmp_path / "copies"
        directory.mkdir()
        # The row is in the log beside the file, and not in the file itself.
        await asyncio.to_thread(backup.copy, path, directory / "copy.db")
    assert names(directory) == ["copy.db"]
    assert (directory / "copy.db").stat().st_mode & 0o777 == 0o600
    assert backup.check(directory / "copy.db") == MIGRATIONS
    assert names(directory) == ["copy.db"]
    assert await messages(directory / "copy.db") == ["one"]


async def test_a_damaged_database_is_not_copied(path: Path, tmp_path: Path) -> None:
    async with opened(path) as store:
        for number in range(200):
            await store.add_event(an_event(f"{number} " * 100))
    damage(path)
    target = tmp_path / "copy.db"
    target.write_bytes(b"the good one")
    with pytest.raises(DamagedState, match="is damaged"):
        backup.copy(path, target)
    assert target.read_bytes() == b"the good one"
    assert "copy.db.new" not in names(tmp_path)


async def test_a_locked_database_is_not_waited_for_without_end(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(path) as store:
        await store.add_event(an_event())
    monkeypatch.setattr(backup, "BUSY_TIMEOUT_SECONDS", 0.05)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StateError, match="locked by another program"):
            backup.copy(path, tmp_path / "copy.db")
    assert names(tmp_path) == ["hydra-box.db"]


@pytest.mark.parametrize("content", [b"", b"junk" * 5000])
def test_what_is_no_database_of_ours_is_no_backup(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DamagedState, match=r"hydra-box\.db is (no|damaged)"):
        backup.check(path)


def test_a_database_of_another_program_is_no_backup(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE songs (name TEXT)")
    with pytest.raises(DamagedState, match="is no database of a Hydra Box"):
        backup.check(path)


def test_what_is_set_aside_takes_its_log_along(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(f"{path.name}{suffix}").write_text(f"content{suffix}")
    aside = backup.set_aside(path, 1_795_000_000.0)
    assert aside.name == "hydra-box.db.damaged-20261118T110640Z"
    assert names(path.parent) == [aside.name, f"{aside.name}-shm", f"{aside.name}-wal"]
    assert aside.with_name(f"{aside.name}-wal").read_text() == "content-wal"


def test_backups_are_found_newest_first(tmp_path: Path) -> None:
    wanted = [
        *("20261118T110640Z.db", "20261118T110641Z-before-m007_more.db"),
        "20270101T000000Z.db",
    ]
    for name in (*wanted, "hydra-box.db", "20261318T110640Z.db", "20261118T110640Z.db.new"):
        (tmp_path / name).touch()
    assert [one.name for one in backup.backups_in(tmp_path)] == wanted[::-1]
    assert backup.moment(wanted[0]) == 1_795_000_000.0
    assert backup.backups_in(tmp_path / "missing") == []


async def test_an_inspection_tells_of_tables_and_not_of_rows(path: Path) -> None:
    async with opened(path) as store:
        await store.add_event(an_event("a secret"))
        # While it is open and its rows are in the log.
        found = await asyncio.to_thread(inspect, path)
    assert (found.quick_check, found.rows["events"], found.rows["keys"]) == ("ok", 1, 0)
    assert any("CREATE TABLE events" in one for one in found.tables)
    assert "a secret" not in str(found)


def test_an_inspection_of_nothing(path: Path) -> None:
    with pytest.raises(StateError, match=r"hydra-box\.db"):
        inspect(path)
    assert not path.exists()
