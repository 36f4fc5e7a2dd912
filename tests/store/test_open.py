"""Opening the store: empty, older, newer, damaged and unwritable files."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import msgspec
import pytest
import sqlite_utils

from hydra_box.errors import StateError
from hydra_box.store import Store
from hydra_box.store.migrations import MIGRATIONS, migrate
from hydra_box.store.opening import opening_seconds
from hydra_box.store.schema import STEPS
from hydra_box.types import Correction
from tests.samples import a_service, an_event, an_instance


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Store]:
    store = await Store.open(path)
    try:
        yield store
    finally:
        await store.close()


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _get(path: Path) -> bytes:
    return path.read_bytes()


async def test_an_empty_file_is_migrated_once(path: Path) -> None:
    _put(path, b"")
    for _ in range(2):
        async with opened(path) as store:
            await store.add_event(an_event())
    with sqlite_utils.Database(path) as db:
        assert [one.name for one in MIGRATIONS.applied(db)] == [step.__name__ for step in STEPS]
        assert db.journal_mode == "wal"
        assert db.execute("SELECT COUNT(*) FROM events").fetchone() == (2,)


async def test_the_connection_is_set_up_for_what_is_promised(path: Path) -> None:
    async with opened(path) as store:

        def pragmas(db: sqlite_utils.Database) -> list[object]:
            names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            return [db.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

        assert await store._database.run(pragmas) == ["wal", 2, 1, 5000]


async def test_a_newer_file_is_refused_and_left_alone(path: Path) -> None:
    with sqlite_utils.Database(path) as db:
        migrate(db, path)
        MIGRATIONS._record_applied(db, "m999_from_the_future")
    with pytest.raises(StateError, match=r"newer Hydra Box: it has m999_from_the_future") as caught:
        await Store.open(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    with sqlite_utils.Database(path) as db:
        known = [step.__name__ for step in STEPS]
        assert [one.name for one in MIGRATIONS.applied(db)] == [*known, "m999_from_the_future"]


async def test_a_failed_migration_leaves_nothing_behind(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE runtimes (id TEXT)")
    with pytest.raises(StateError, match="table runtimes already exists"):
        await Store.open(path)
    with sqlite_utils.Database(path) as db:
        assert set(db.table_names()) == {"_sqlite_migrations", "runtimes"}
        assert MIGRATIONS.applied(db) == []


async def _filled(path: Path) -> bytes:
    async with opened(path) as store:
        for number in range(40):
            await store.add_event(an_event(f"{number} " * 100))
    return _get(path)


async def test_a_file_that_is_no_database(path: Path) -> None:
    _put(path, b"this is not a database, whatever its name says\n" * 100)
    with pytest.raises(StateError, match="is damaged: file is not a database") as caught:
        await Store.open(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


async def test_a_truncated_file(path: Path) -> None:
    content = await _filled(path)
    _put(path, content[: len(content) // 2])
    with pytest.raises(StateError, match="is damaged") as caught:
        await Store.open(path)
    assert str(path) in caught.value.message


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return asyncio.run(_filled(tmp_path_factory.mktemp("healthy") / "hydra-box.db"))


async def test_a_page_that_was_lost_is_found_before_anything_is_read(
    path: Path, healthy: bytes
) -> None:
    page_bytes = 4096
    _put(path, healthy[:-page_bytes] + bytes(page_bytes))
    with pytest.raises(StateError, match=r"is damaged: .*[Pp]age"):
        await Store.open(path)


@pytest.mark.parametrize("seed", range(100))
async def test_any_damage_ends_in_the_one_error(path: Path, healthy: bytes, seed: int) -> None:
    chance = random.Random(seed)
    start = chance.randrange(len(healthy))
    junk = chance.randbytes(chance.randint(1, 200))
    _put(path, healthy[:start] + junk + healthy[start + len(junk) :])
    # Damage inside a text cannot be seen, so that there need not be an error.
    with suppress(StateError):
        async with opened(path) as store:
            await store.events()
            await store.local_user()


@pytest.mark.parametrize("place", ["a-file/hydra-box.db", "missing/hydra-box.db", "a-directory"])
async def test_a_place_that_cannot_be_written(tmp_path: Path, place: str) -> None:
    (tmp_path / "a-file").touch()
    (tmp_path / "a-directory").mkdir()
    with pytest.raises(StateError, match="cannot be written") as caught:
        await Store.open(tmp_path / place)
    assert place in caught.value.message
    assert "HYDRA_BOX_HOME" in (caught.value.hint or "")


async def test_a_file_system_that_takes_no_files() -> None:
    with pytest.raises(StateError, match=r"/proc/hydra-box\.db cannot be written"):
        await Store.open(Path("/proc/hydra-box.db"))


async def test_a_file_that_another_program_holds(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hydra_box.store.database.BUSY_TIMEOUT_SECONDS", 0.05)
    async with opened(path) as store:
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StateError, match="locked by another program"):
                await store.add_event(an_event())
            other.execute("ROLLBACK")
        assert (await store.add_event(an_event())).id == 1


async def test_a_larger_file_or_backup_may_take_longer(tmp_path: Path, path: Path) -> None:
    backups = tmp_path / "backups"
    backups.mkdir()
    new = opening_seconds(path, backups)
    _put(path, bytes(1_000_000))
    seconds = opening_seconds(path, backups)
    assert seconds > new >= 60
    _put(backups / "20261118T110640Z.db", bytes(2_000_000))
    assert opening_seconds(path, backups) > seconds


async def test_a_file_of_the_first_version_keeps_what_it_has(path: Path) -> None:
    first = sqlite_utils.Migrations("hydra_box")
    first()(STEPS[0])
    with sqlite_utils.Database(path) as db:
        first.apply(db)
        db["users"].insert({"id": "u-1", "name": "local", "created_at": 1.0})
        for table, row in (("services", a_service(owner_id="u-1")), ("instances", an_instance())):
            had = db[table].columns_dict
            old = msgspec.to_builtins(row)
            db[table].insert({name: value for name, value in old.items() if name in had})
    async with opened(path) as store:
        assert await store.services() == [a_service(owner_id="u-1")]
        assert await store.instances() == [an_instance()]
        assert await store.corrections() == []
        correction = Correction(id="vllm/Llama/cuda", factor=1.5, samples=2, updated_at=3.0)
        await store.save_correction(correction)
    async with opened(path) as store:
        assert await store.corrections() == [correction]
