"""A lost database: missing, or with nothing in it, although there are backups of it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlite_utils

from hydra_box.errors import DamagedState
from hydra_box.store import Store, backup
from hydra_box.store.schema import STEPS
from tests.store.test_backup import damage, names
from tests.store.test_recovery import NOW, STAMP, count, fill, keep, opened


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def lose_the_first_log(path: Path) -> None:
    """What is left of one that had never been written to itself."""
    path.unlink()
    with sqlite_utils.Database(path) as db:
        db.enable_wal()


@pytest.mark.parametrize("lose", [remove, empty, lose_the_first_log])
async def test_a_lost_database_is_replaced_by_the_newest_good_backup(
    path: Path, backups: Path, lose: Callable[[Path], None]
) -> None:
    await fill(path, backups, "a", 20)
    good = await keep(path, backups, 2)
    damage(await keep(path, backups, 1))
    lose(path)
    async with opened(path, backups) as store:
        assert await count(store) == 20
        assert store.recovered is not None
        assert store.recovered.backup == good
        assert store.recovered.damaged.name == f"hydra-box.db.lost-{STAMP}"
    assert backup.all_set_aside(path) == [path.with_name(f"hydra-box.db.lost-{STAMP}")]
    async with opened(path, backups) as store:
        assert (await count(store), store.recovered) == (20, None)


async def test_the_log_of_a_lost_database_is_kept(path: Path, backups: Path) -> None:
    await fill(path, backups, "a", 20)
    await keep(path, backups, 1)
    await asyncio.to_thread(path.unlink)
    await asyncio.to_thread(path.with_name("hydra-box.db-wal").write_bytes, b"what was last")
    async with opened(path, backups) as store:
        assert await count(store) == 20
    aside = path.with_name(f"hydra-box.db.lost-{STAMP}-wal")
    assert await asyncio.to_thread(aside.read_bytes) == b"what was last"


@pytest.mark.parametrize("lose", [remove, empty, lose_the_first_log])
async def test_a_lost_database_without_a_good_backup_is_not_made_anew(
    path: Path, backups: Path, lose: Callable[[Path], None]
) -> None:
    await fill(path, backups, "a")
    damage(await keep(path, backups, 1))
    lose(path)
    before = names(path.parent)
    for _ in range(2):
        with pytest.raises(DamagedState, match="and there are backups of it") as caught:
            await Store.open(path, backups=backups, clock=lambda: NOW)
        assert "has no backup that is whole" in caught.value.message
        assert f"where {backups} is moved away" in (caught.value.hint or "")
    assert set(names(path.parent)) <= set(before)
    await asyncio.to_thread(backups.rename, path.parent / "away")
    await asyncio.to_thread(backups.mkdir)
    async with opened(path, backups) as store:
        assert await count(store) == 0


async def test_a_trial_that_was_broken_off_is_not_taken(path: Path, backups: Path) -> None:
    await fill(path, backups, "a", 20)
    await keep(path, backups, 1)
    # As a daemon leaves it that was killed while it brought the copy to its version.
    await asyncio.to_thread(path.rename, path.with_name("hydra-box.db.trial"))
    with closing(sqlite3.connect(path.with_name("hydra-box.db.trial"))) as trial, trial:
        trial.execute("DELETE FROM events")
    async with opened(path, backups) as store:
        assert await count(store) == 20


async def test_the_tables_of_a_new_box_are_not_in_the_log_alone(
    path: Path, backups: Path, tmp_path: Path
) -> None:
    async with opened(path, backups):
        alone = tmp_path / "alone.db"
        await asyncio.to_thread(alone.write_bytes, await asyncio.to_thread(path.read_bytes))
    assert backup.check(alone) == tuple(step.__name__ for step in STEPS)
