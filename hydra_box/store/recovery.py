"""Opening a database, or, when it is damaged, the newest backup that is not.

A box in a rack has nobody at hand: it comes back by itself, a day older at most, and tells what
may be missing. The damaged file is kept beside it, because it may have what the backup has not.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import sqlite_utils

from hydra_box.errors import DamagedState, StateError
from hydra_box.store import backup
from hydra_box.store.database import Database, translated
from hydra_box.types import Frozen

_REVOKED = "SELECT id, revoked_at FROM keys WHERE typeof(revoked_at) = 'real'"
_REVOKE = "UPDATE keys SET revoked_at = IFNULL(revoked_at, ?) WHERE id = ?"

log = logging.getLogger(__name__)

Prepare = Callable[[sqlite_utils.Database, Path], None]


class WrongTables(DamagedState):
    """The file is whole, and lacks tables that its version had."""


class Recovered(Frozen, frozen=True, kw_only=True):
    """A damaged database was replaced by a backup."""

    damaged: Path
    """Where it lies now."""
    why: str
    """What was wrong with it."""
    backup: Path
    """What was put in its place."""


async def open_or_recover(
    path: Path, prepare: Prepare, backups: Path, at: float
) -> tuple[Database, Recovered | None]:
    """The database of that file; what was done to it, if it was damaged.

    1. It is whole: it is opened.
    2. This version can open a backup: the file is set aside, and the newest such one put there.
    3. There is none, and tables are missing: it stays, because an update may be what is wrong.
    4. There is none, and the file is broken: it is set aside; the next start makes an empty one.

    Args:
        path: the file.
        prepare: brings its tables to this version, and refuses what it does not know.
        backups: the directory of the box's own copies.
        at: the Unix time.

    Raises:
        DamagedState: in the third and fourth case; it says where the file lies.
        StateError: it cannot be opened for another reason.
        DiskFull: there is no room for it, or for the backup.

    """
    trial = path.with_name(f"{path.name}.trial")
    await asyncio.to_thread(_finish, path, trial)
    try:
        return await _open(path, prepare), None
    except DamagedState as error:
        log.error("%s", error.message)
        damaged = error
    try:
        found = await _newest_whole(backups, trial, prepare)
        if found is None:
            raise await asyncio.to_thread(_no_backup, path, damaged, backups, at)
        aside = await asyncio.to_thread(_replace, path, trial, at)
    finally:
        await asyncio.to_thread(_remove, trial)
    recovered = Recovered(damaged=aside, why=damaged.message, backup=found)
    return await _open(path, prepare), recovered


async def _open(path: Path, prepare: Prepare) -> Database:
    return await Database.open(path, lambda db: prepare(db, path))


async def _newest_whole(backups: Path, trial: Path, prepare: Prepare) -> Path | None:
    """The backup of which ``trial`` is a copy that the daemon can open."""
    for candidate in await asyncio.to_thread(backup.backups_in, backups):
        try:
            await asyncio.to_thread(_remove, trial)
            await asyncio.to_thread(backup.copy, candidate, trial)
            database = await _open(trial, prepare)
        except (DamagedState, StateError) as error:
            log.error("the backup %s is of no use: %s", candidate.name, error.message)
            continue
        await database.close()
        return candidate
    return None


def _finish(path: Path, trial: Path) -> None:
    """Put the copy in its place, if a daemon was killed between ``set_aside`` and that."""
    with translated(path):
        if trial.exists() and not path.exists():
            trial.replace(path)
            backup.sync(path.parent)


def _replace(path: Path, trial: Path, at: float) -> Path:
    _revoke_again(path, trial)
    aside = backup.set_aside(path, at)
    trial.replace(path)
    backup.sync(path.parent)
    return aside


def _revoke_again(damaged: Path, trial: Path) -> None:
    """Revoke in the copy what was revoked since, as far as the damaged file still tells.

    Nothing else is taken from it: what it says cannot be relied on, and this only shuts doors.
    """
    has_log = damaged.with_name(f"{damaged.name}{backup.LOG_SUFFIXES[0]}").exists()
    # Without a log none is made beside it: it would be set aside as if it told something.
    mode, revoked = "ro" if has_log else "ro&immutable=1", dict[str, float]()
    try:
        with backup.connected(damaged, mode) as connection:
            # Row by row: those before the first that cannot be read count.
            for row in connection.execute(_REVOKED):
                revoked |= dict([row])
    except (sqlite3.Error, UnicodeDecodeError) as error:
        log.error("of the keys that were revoked, %d could be read: %s", len(revoked), error)
    with translated(trial), closing(sqlite3.connect(trial)) as connection, connection:
        connection.executemany(_REVOKE, [(at, key_id) for key_id, at in revoked.items()])


def _no_backup(path: Path, damaged: DamagedState, backups: Path, at: float) -> DamagedState:
    none = f"{backups} has no backup that is whole"
    if isinstance(damaged, WrongTables):
        hint = "if it came with an update, go back to the version before; else " + _RESTORE
        return DamagedState(f"{damaged.message}; {none}", hint=hint)
    aside = backup.set_aside(path, at)
    return DamagedState(
        f"{damaged.message}; it lies in {aside} now, and {none}",
        hint=f"{_RESTORE}; hydra-box serve makes an empty one",
    )


_RESTORE = "hydra-box restore FILE puts a backup of yours in its place"


def _remove(trial: Path) -> None:
    for suffix in ("", *backup.LOG_SUFFIXES):
        trial.with_name(f"{trial.name}{suffix}").unlink(missing_ok=True)
