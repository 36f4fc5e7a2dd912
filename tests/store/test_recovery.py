"""A damaged database: set aside, and the newest good backup in its place. Real damage."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import msgspec
import pytest
import sqlite_utils

from hydra_box.errors import DamagedState, StateError
from hydra_box.store import Store, backup, migrations
from hydra_box.store.migrations import MIGRATIONS
from hydra_box.store.schema import STEPS
from tests.samples import a_key, an_event
from tests.store.test_backup import damage, names

NOW = 1_795_000_000.0
STAMP = "20261118T110640Z"
DAY_SECONDS = 86_400.0


@asynccontextmanager
async def opened(path: Path, backups: Path) -> AsyncIterator[Store]:
    store = await Store.open(path, backups=backups, clock=lambda: NOW)
    try:
        yield store
    finally:
        await store.close()


async def fill(path: Path, backups: Path, message: str, rows: int = 300) -> None:
    async with opened(path, backups) as store:
        for _ in range(rows):
            await store.add_event(an_event(message * 50))


async def keep(path: Path, backups: Path, days_ago: float) -> Path:
    target = backups / f"{backup.stamp(NOW - days_ago * DAY_SECONDS)}.db"
    await asyncio.to_thread(backup.copy, path, target)
    return target


async def count(store: Store) -> int:
    return len(await store.events(limit=10_000))


async def test_the_newest_good_backup_takes_the_place(path: Path, backups: Path) -> None:
    await fill(path, backups, "a", 200)
    older = await keep(path, backups, 2)
    await fill(path, backups, "b", 100)
    newest = await keep(path, backups, 1)
    await fill(path, backups, "c", 50)
    damage(path)
    damaged = await asyncio.to_thread(path.read_bytes)
    async with opened(path, backups) as store:
        assert await count(store) == 300
        assert store.recovered is not None
        assert store.recovered.backup == newest
        assert store.recovered.damaged.name == f"hydra-box.db.damaged-{STAMP}"
        assert await asyncio.to_thread(store.recovered.damaged.read_bytes) == damaged
        await store.add_event(an_event("after"))
    assert names(path.parent) == ["backups", "hydra-box.db", f"hydra-box.db.damaged-{STAMP}"]
    assert names(backups) == sorted([older.name, newest.name])
    async with opened(path, backups) as store:
        assert (await count(store), store.recovered) == (301, None)


async def test_a_damaged_backup_is_passed_over(path: Path, backups: Path) -> None:
    await fill(path, backups, "a")
    good = await keep(path, backups, 2)
    damage(await keep(path, backups, 1))
    await asyncio.to_thread((backups / "20261118T100000Z.db").write_bytes, b"")
    damage(path)
    async with opened(path, backups) as store:
        assert store.recovered is not None
        assert store.recovered.backup == good
        assert await count(store) == 300


async def test_without_a_backup_the_second_start_is_empty(path: Path, backups: Path) -> None:
    await fill(path, backups, "a")
    damage(path)
    with pytest.raises(DamagedState, match="has no backup that is whole") as caught:
        await Store.open(path, backups=backups, clock=lambda: NOW)
    assert f"it lies in {path}.damaged-{STAMP} now" in caught.value.message
    assert "hydra-box restore FILE" in (caught.value.hint or "")
    assert names(path.parent) == ["backups", f"hydra-box.db.damaged-{STAMP}"]
    async with opened(path, backups) as store:
        assert await count(store) == 0


async def test_a_file_that_is_no_database_is_set_aside_too(path: Path, backups: Path) -> None:
    await fill(path, backups, "a", 3)
    await keep(path, backups, 1)
    await asyncio.to_thread(path.write_bytes, b"\0" * 100_000)
    async with opened(path, backups) as store:
        assert await count(store) == 3


async def test_keys_that_were_revoked_since_stay_so(path: Path, backups: Path) -> None:
    async with opened(path, backups) as store:
        owner = await store.local_user()
        for name in ("old", "lost", "good"):
            await store.save_key(a_key(name, owner_id=owner.id))
    await keep(path, backups, 1)
    async with opened(path, backups) as store:
        (lost,) = [one for one in await store.keys() if one.name == "lost"]
        await store.save_key(msgspec.structs.replace(lost, revoked_at=NOW))
    # What is broken are events, in pages after those of the keys.
    await fill(path, backups, "a" * 50)
    await asyncio.to_thread(damage, path, 0.75)
    async with opened(path, backups) as store:
        assert store.recovered is not None
        assert {one.name: one.revoked_at for one in await store.keys()} == {
            "old": None,
            "lost": NOW,
            "good": None,
        }


async def test_who_was_disabled_since_stays_so(path: Path, backups: Path) -> None:
    async with opened(path, backups) as store:
        owner = await store.local_user()
        await store.save_key(a_key(owner_id=owner.id))
    await keep(path, backups, 1)
    async with opened(path, backups) as store:
        await store.save_key(a_key(owner_id=owner.id, disabled_at=NOW))
        await store.save_user(msgspec.structs.replace(owner, disabled_at=NOW + 1))
    await fill(path, backups, "a" * 50)
    await asyncio.to_thread(damage, path, 0.75)
    async with opened(path, backups) as store:
        assert store.recovered is not None
        assert [one.disabled_at for one in await store.keys()] == [NOW]
        assert [one.disabled_at for one in await store.users()] == [NOW + 1]


async def test_a_restored_database_is_not_replaced_by_what_an_earlier_start_left(
    path: Path, backups: Path
) -> None:
    await fill(path, backups, "a", 20)
    await asyncio.to_thread(path.with_name("hydra-box.db.ready").write_bytes, b"of before")
    async with opened(path, backups) as store:
        assert (await count(store), store.recovered) == (20, None)
    assert names(path.parent) == ["backups", "hydra-box.db"]


async def test_what_is_set_aside_replaces_nothing_that_was(path: Path, backups: Path) -> None:
    await fill(path, backups, "a")
    await keep(path, backups, 1)
    for number in (1, 2):
        await asyncio.to_thread(path.write_bytes, b"%d" % number * 10_000)
        async with opened(path, backups):
            pass
    first, second = backup.all_set_aside(path)
    assert (first.name, second.name) == (f"hydra-box.db.damaged-{STAMP}", f"{first.name}-2")
    assert (first.read_bytes()[:1], second.read_bytes()[:1]) == (b"1", b"2")


async def test_a_table_that_is_missing(path: Path, backups: Path) -> None:
    await fill(path, backups, "a", 3)
    await keep(path, backups, 1)
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE keys")
    async with opened(path, backups) as store:
        assert store.recovered is not None
        assert "no such table: keys" in store.recovered.why
        assert await store.keys() == []
        assert await count(store) == 3


async def test_a_table_that_is_missing_everywhere_moves_nothing(path: Path, backups: Path) -> None:
    await fill(path, backups, "a", 3)
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE keys")
    with pytest.raises(DamagedState, match="no such table: keys") as caught:
        await Store.open(path, backups=backups, clock=lambda: NOW)
    assert "go back to the version before" in (caught.value.hint or "")
    assert names(path.parent) == ["backups", "hydra-box.db"]


# --- migrations -------------------------------------------------------------------


def _older(path: Path) -> None:
    """A file of the version before this one."""
    older = sqlite_utils.Migrations(MIGRATIONS.name)
    for step in STEPS[:-1]:
        older()(step)
    with sqlite_utils.Database(path) as db:
        older.apply(db)
        db["users"].insert({"id": "u-1", "name": "local", "created_at": 1.0})


async def test_a_migration_is_backed_up_first(path: Path, backups: Path) -> None:
    _older(path)
    for _ in range(2):
        async with opened(path, backups) as store:
            assert [one.id for one in await store.users()] == ["u-1"]
    assert names(backups) == [f"{STAMP}-before-{STEPS[-1].__name__}.db"]
    assert backup.check(backups / names(backups)[0]) == tuple(step.__name__ for step in STEPS[:-1])


async def test_a_migration_that_fails_at_every_start_does_not_fill_the_disk(
    path: Path, backups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _older(path)

    def fails(_db: sqlite_utils.Database) -> None:
        raise sqlite3.OperationalError("no such luck")

    async def start(at: float) -> None:
        with pytest.raises(StateError, match="no such luck"):
            await Store.open(path, backups=backups, clock=lambda: at)

    # The clock is set back meanwhile: the newest copy has the oldest name.
    times = [NOW + minutes * 60 for minutes in (1, 2, 3, 4, 0)]
    with monkeypatch.context() as patched:
        patched.setattr(MIGRATIONS, "apply", fails)
        for at in times:
            await start(at)
    assert names(backups) == [
        f"{backup.stamp(at)}-before-{STEPS[-1].__name__}.db" for at in (NOW, *times[2:4])
    ]


async def test_an_empty_file_is_not_backed_up(path: Path, backups: Path) -> None:
    async with opened(path, backups):
        pass
    assert names(backups) == []


async def test_a_migration_that_fails_leaves_the_file_and_its_backup(
    path: Path, backups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _older(path)

    def m999_bad(db: sqlite_utils.Database) -> None:
        db.execute("ALTER TABLE users ADD COLUMN more TEXT")
        db.execute("CREATE TABLE users (id TEXT)")

    bad = sqlite_utils.Migrations(MIGRATIONS.name)
    for step in (*STEPS[:-1], m999_bad):
        bad()(step)
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "STEPS", (*STEPS[:-1], m999_bad))
        patched.setattr(migrations, "MIGRATIONS", bad)
        with pytest.raises(StateError, match="table users already exists"):
            await Store.open(path, backups=backups, clock=lambda: NOW)
    assert names(path.parent) == ["backups", "hydra-box.db"]
    assert names(backups) == [f"{STAMP}-before-m999_bad.db"]
    # It can still be opened by a version that does not have that migration.
    async with opened(path, backups) as store:
        assert [one.id for one in await store.users()] == ["u-1"]


async def test_a_newer_file_is_neither_damaged_nor_backed_up(path: Path, backups: Path) -> None:
    await fill(path, backups, "a", 1)
    with sqlite_utils.Database(path) as db:
        MIGRATIONS._record_applied(db, "m999_from_the_future")
    with pytest.raises(StateError, match="newer Hydra Box"):
        await Store.open(path, backups=backups, clock=lambda: NOW)
    assert names(path.parent) == ["backups", "hydra-box.db"]
    assert names(backups) == []


async def test_a_daemon_that_was_killed_between_two_names_leaves_no_empty_box(
    path: Path, backups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(path, backups, "a", 200)
    await keep(path, backups, 1)
    damage(path)

    def killed(database: Path, at: float, state: str) -> Path:
        set_aside(database, at, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        set_aside = backup.set_aside
        patch.setattr(backup, "set_aside", killed)
        with pytest.raises(KeyboardInterrupt):
            await Store.open(path, backups=backups, clock=lambda: NOW)
    assert names(path.parent) == [
        *("backups", f"hydra-box.db.damaged-{STAMP}", "hydra-box.db.ready"),
    ]
    async with opened(path, backups) as store:
        assert await count(store) == 200
    assert names(path.parent) == ["backups", "hydra-box.db", f"hydra-box.db.damaged-{STAMP}"]
