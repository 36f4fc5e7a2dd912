"""Opening the state: its tables are brought to this version, and all of them are there."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import sqlite_utils

from hydra_box.store import backup
from hydra_box.store.database import Database
from hydra_box.store.migrations import migrate
from hydra_box.store.recovery import Recovered, WrongTables, open_or_recover
from hydra_box.store.tables import TABLES

_LACKS = ("no such table", "no such column")
"""How SQLite begins to tell of a file that is whole and not all there."""


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
        backup.copy(path, backups / f"{backup.stamp(clock())}-before-{migration}.db")

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
        migrate(db, path, keep)
        for table in TABLES:
            table.select(db, limit=0)
    except sqlite3.OperationalError as error:
        if not str(error).startswith(_LACKS):
            raise
        raise WrongTables(
            f"{path} is damaged: {error}", hint="hydra-box restore FILE puts a backup in its place"
        ) from error
