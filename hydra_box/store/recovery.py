"""Opening a database, or, when it is damaged or lost, the newest backup that is not.

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

_SHUT = {
    "SELECT revoked_at, id FROM keys WHERE typeof(revoked_at) = 'real'": (
        "UPDATE keys SET revoked_at = IFNULL(revoked_at, ?) WHERE id = ?"
    ),
    "SELECT disabled_at, id FROM keys WHERE typeof(disabled_at) = 'real'": (
        "UPDATE keys SET disabled_at = IFNULL(disabled_at, ?) WHERE id = ?"
    ),
    "SELECT disabled_at, id FROM users WHERE typeof(disabled_at) = 'real'": (
        "UPDATE users SET disabled_at = IFNULL(disabled_at, ?) WHERE id = ?"
    ),
}
"""How to find whom a database lets in no more, and how to do the same in another one."""

log = logging.getLogger(__name__)

Prepare = Callable[[sqlite_utils.Database, Path], None]


class WrongTables(DamagedState):
    """The file is whole, and lacks tables that its version had."""


class LostState(DamagedState):
    """There are backups of the file, and it is missing or has nothing: it is no new box."""


class Recovered(Frozen, frozen=True, kw_only=True):
    """A damaged or lost database was replaced by a backup."""

    damaged: Path
    """Where it lies now; of one that is missing, an empty file."""
    why: str
    """What was wrong with it."""
    backup: Path
    """What was put in its place."""


async def open_or_recover(
    path: Path, prepare: Prepare, backups: Path, at: float
) -> tuple[Database, Recovered | None]:
    """The database of that file; what was done to it, if it was damaged or lost.

    1. It is whole, or missing and there is no backup: it is opened.
    2. This version can open a backup: the file is set aside, and the newest such one put there.
    3. It cannot open any, and tables or the file are missing: all stays as it is, because an
       update may be what is wrong.
    4. It cannot open any, and the file is broken: it is set aside. The next start makes an empty
       one where there is no backup at all.

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
    candidates = await asyncio.to_thread(backup.backups_in, backups)
    try:
        if not candidates:
            return await _open(path, prepare), None
        await asyncio.to_thread(_require_content, path)
        return await _open(path, lambda db, file: _prepare_old(db, file, prepare)), None
    except DamagedState as error:
        log.error("%s", error.message)
        damaged = error
    try:
        found = await _newest_whole(candidates, trial, prepare)
        if found is None:
            raise await asyncio.to_thread(_no_backup, path, damaged, backups, at)
        lost = isinstance(damaged, LostState)
        aside = await asyncio.to_thread(_replace, path, trial, at, lost=lost)
    finally:
        await asyncio.to_thread(_remove, trial)
    recovered = Recovered(damaged=aside, why=damaged.message, backup=found)
    return await _open(path, prepare), recovered


async def _open(path: Path, prepare: Prepare) -> Database:
    return await Database.open(path, lambda db: prepare(db, path))


def _require_content(path: Path) -> None:
    # Looked at before it is opened: that would make an empty file, and throw its log away.
    with translated(path):
        if not path.exists():
            raise LostState(f"{path} is missing, and there are backups of it")
        if not path.stat().st_size:
            raise LostState(f"{path} is empty, and there are backups of it")


def _prepare_old(db: sqlite_utils.Database, path: Path, prepare: Prepare) -> None:
    # What its first log had is lost with it; the file itself has a header then.
    if not db.table_names():
        raise LostState(f"{path} has no tables, and there are backups of it")
    prepare(db, path)


async def _newest_whole(candidates: list[Path], trial: Path, prepare: Prepare) -> Path | None:
    """The backup of which ``trial`` is a copy that the daemon can open."""
    for candidate in candidates:
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
    ready = _ready(path)
    with translated(path):
        if ready.exists() and not path.exists():
            ready.replace(path)
            backup.sync(path.parent)
        for left in (trial, ready):
            _remove(left)


def _replace(path: Path, trial: Path, at: float, *, lost: bool) -> Path:
    if not lost:
        _shut_again(path, trial)
    with translated(path):
        # A name of its own: a trial may be half made, and is never put in place later.
        ready = trial.replace(_ready(path))
        backup.sync(path.parent)
        aside = backup.set_aside(path, at, backup.LOST if lost else backup.DAMAGED)
        ready.replace(path)
        backup.sync(path.parent)
    return aside


def _ready(path: Path) -> Path:
    """The copy that is to take its place, once all is done to it."""
    return path.with_name(f"{path.name}.ready")


def _shut_again(damaged: Path, trial: Path) -> None:
    """Revoke and disable in the copy whom that befell since, as far as the damaged file tells.

    Nothing else is taken from it: what it says cannot be relied on, and this only shuts doors.
    """
    for find, shut in _SHUT.items():
        found = _read(damaged, find)
        with translated(trial), closing(sqlite3.connect(trial)) as connection, connection:
            connection.executemany(shut, found)


def _read(damaged: Path, find: str) -> list[tuple[float, str]]:
    has_log = damaged.with_name(f"{damaged.name}{backup.LOG_SUFFIXES[0]}").exists()
    # Without a log none is made beside it: it would be set aside as if it told something.
    mode, found = "ro" if has_log else "ro&immutable=1", list[tuple[float, str]]()
    try:
        with backup.connected(damaged, mode) as connection:
            # Row by row: those before the first that cannot be read count.
            found.extend(connection.execute(find))
    except (sqlite3.Error, UnicodeDecodeError) as error:
        log.error("%d rows could be read of %s: %s", len(found), find, error)
    return found


def _no_backup(path: Path, damaged: DamagedState, backups: Path, at: float) -> DamagedState:
    none = f"{backups} has no backup that is whole"
    if isinstance(damaged, WrongTables):
        hint = "if it came with an update, go back to the version before; else " + _RESTORE
        return DamagedState(f"{damaged.message}; {none}", hint=hint)
    anew = "hydra-box serve makes an empty one"
    if backup.backups_in(backups):
        anew = f"where {backups} is moved away, {anew}"
    if isinstance(damaged, LostState):
        return DamagedState(f"{damaged.message}; {none}", hint=f"{_RESTORE}; {anew}")
    aside = backup.set_aside(path, at)
    return DamagedState(
        f"{damaged.message}; it lies in {aside} now, and {none}", hint=f"{_RESTORE}; {anew}"
    )


_RESTORE = "hydra-box restore FILE puts a backup of yours in its place"


def _remove(trial: Path) -> None:
    for suffix in ("", *backup.LOG_SUFFIXES):
        trial.with_name(f"{trial.name}{suffix}").unlink(missing_ok=True)
