"""Opening the state: its tables are brought to this version, and all of them are there."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import sqlite_utils

from hydra_box.store import backup
from hydra_box.store.database import Database
from hydra_box.store.migrations import applied, migrate
from hydra_box.store.recovery import Recovered, WrongTables, open_or_recover
from hydra_box.store.tables import TABLES

_LACKS = ("no such table", "no such column")
"""How SQLite begins to tell of a file that is whole and not all there."""

KEPT_COPIES = 3
"""Of a migration that fails: it is tried at every start, and its copy is the same each time."""


_CHECKED_AT_LEAST_SECONDS = 60.0
_SLOW_BYTES_PER_SECOND = 50 * 1024 * 1024
_PASSES = 8
"""Times that all of it is read or written, if it is damaged and a backup takes its place."""


def opening_seconds(path: Path, backups: Path) -> float:
    """How long ``open_state`` may take before something is wrong. Blocking."""
    files = [path, *backup.backups_in(backups)]
    largest_bytes = max(one.stat().st_size if one.exists() else 0 for one in files)
    return _CHECKED_AT_LEAST_SECONDS + _PASSES * largest_bytes / _SLOW_BYTES_PER_SECOND


async def open_state(
    path: Path, backups: Path | None, clock: Callable[[], float]
) -> tuple[Database, Recovered | None]:
    """The database of that file; what was done to it, if it was damaged.

    Args:
        path: the file, which is made when it is missing.
        backups: the directory of the box's own copies; None: none is made, and none is used.
        clock: Unix time.

    Raises:
        StateError: the file cannot be written, is damaged, or has a newer schema.
        DiskFull: there is no room for it.

    """
    if backups is None:
        return await Database.open(path, lambda db: _prepare(db, path)), None

    def prepare(db: sqlite_utils.Database, file: Path) -> None:
        _prepare(db, file, keep if file == path else None)

    def keep(migration: str) -> None:
        name = f"-before-{migration}{backup.SUFFIX}"
        new = backups / f"{backup.stamp(clock())}{name}"
        backup.copy(path, new)
        # Not the new one, although a clock that was set back gives it an older name.
        same = [one for one in backup.backups_in(backups) if one.name.endswith(name) and one != new]
        for old in same[KEPT_COPIES - 1 :]:
            old.unlink(missing_ok=True)

    return await open_or_recover(path, prepare, backups, clock())


def _prepare(
    db: sqlite_utils.Database, path: Path, keep: Callable[[str], None] | None = None
) -> None:
    """Bring the tables to this version, and look whether all of them are there.

    Raises:
        WrongTables: one is not.
        StateError: a newer version has changed the file.

    """
    try:
        before = applied(db)
        migrate(db, path, keep)
        if applied(db) != before:
            # Else they would be in the log alone for days, and lost with it.
            db.execute("PRAGMA wal_checkpoint").fetchone()
        for table in TABLES:
            table.select(db, limit=0)
    except sqlite3.OperationalError as error:
        if not str(error).startswith(_LACKS):
            raise
        raise WrongTables(
            f"{path} is damaged: {error}", hint="hydra-box restore FILE puts a backup in its place"
        ) from error
