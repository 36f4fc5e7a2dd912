"""Copies of the database: consistent, checked, and whole before they have their name. Blocking."""

from __future__ import annotations

import itertools
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

import sqlite_utils

from hydra_box.errors import DamagedState, StateError
from hydra_box.store.database import BUSY_TIMEOUT_SECONDS, require_whole, translated
from hydra_box.store.migrations import applied

SUFFIX: Final = ".db"
LOG_SUFFIXES: Final = ("-wal", "-shm")
"""Of the files beside a database, without which it is not all there."""
MAGIC: Final = b"SQLite format 3\0"
"""What a database begins with."""
DAMAGED: Final = "damaged"
LOST: Final = "lost"
"""Why a database was replaced, as the name of what was left of it says."""

_NEW: Final = ".new"


def stamp(at: float) -> str:
    """A moment as a part of a file's name, in UTC; later ones sort later."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def moment(name: str) -> float:
    """The Unix time of a name that begins with a ``stamp``.

    Raises:
        ValueError: it does not.

    """
    return datetime.strptime(f"{name[:16]}+0000", "%Y%m%dT%H%M%SZ%z").timestamp()


def free_name(path: Path) -> Path:
    """That path if nothing is there, else the first with a number behind its name."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in itertools.count(2))
    return next(one for one in itertools.chain([path], numbered) if not one.exists())


def backups_in(directory: Path) -> list[Path]:
    """The copies of a directory that were named by a ``stamp``, newest first."""
    found = []
    for path in directory.glob(f"*{SUFFIX}"):
        try:
            moment(path.name)
        except ValueError:
            continue
        found.append(path)
    return sorted(found, key=lambda path: path.name, reverse=True)


def copy(source: Path, target: Path) -> None:
    """Copy a database that may be in use; the target has its name once it is whole and checked.

    Raises:
        StateError: the source is damaged, locked or cannot be read; the target cannot be written.
        DiskFull: there is no room for it.

    """
    new = target.with_name(f"{target.name}{_NEW}")
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS

    def give_up_when_locked(status: int, remaining: int, total: int) -> None:  # noqa: ARG001
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise StateError(
                f"{source} has been locked by another program for {BUSY_TIMEOUT_SECONDS:.0f} s",
                hint="end the program that has it open",
            )

    try:
        with translated(target):
            new.unlink(missing_ok=True)
            # Made here and not by SQLite, because it holds what only this user may read.
            new.touch(mode=0o600, exist_ok=False)
        with (
            translated(source),
            connected(source) as reading,
            translated(target),
            closing(sqlite3.connect(new)) as writing,
        ):
            reading.backup(writing, progress=give_up_when_locked)
            # One file, which needs no log beside it.
            writing.execute("PRAGMA journal_mode=DELETE")
        check(new)
        with translated(target):
            sync(new)
            new.replace(target)
            sync(target.parent)
    except DamagedState as error:
        # What is wrong with a copy is wrong with what it was made of.
        fact = error.message.replace(str(new), str(source)).replace(str(target), str(source))
        raise DamagedState(fact, hint=error.hint) from error
    finally:
        new.unlink(missing_ok=True)


def check(path: Path) -> tuple[str, ...]:
    """The migrations of a database that nobody has open; nothing is changed.

    Raises:
        DamagedState: it is damaged, or no database of a Hydra Box.
        StateError: it cannot be read.

    """
    with translated(path), connected(path, "ro&immutable=1") as connection:
        require_whole(connection, path)
        migrations = tuple(applied(sqlite_utils.Database(connection)))
    if not migrations:
        raise DamagedState(f"{path} is no database of a Hydra Box")
    return migrations


def set_aside(database: Path, at: float, state: str = DAMAGED) -> Path:
    """Give what there is of a database, with its log, a name under which nobody opens it.

    Of one that is missing it is an empty file: it is there until somebody has seen it.

    Raises:
        StateError: it cannot be renamed.

    """
    with translated(database):
        aside = free_name(database.with_name(f"{database.name}.{state}-{stamp(at)}"))
        # The log first: the other way round it would be taken for the log of the next database.
        for suffix in (*LOG_SUFFIXES, ""):
            part = database.with_name(f"{database.name}{suffix}")
            if os.path.lexists(part):
                part.replace(aside.with_name(f"{aside.name}{suffix}"))
        if not os.path.lexists(aside):
            aside.touch(mode=0o600)
        sync(database.parent)
    return aside


def all_set_aside(database: Path) -> list[Path]:
    """What was set aside of this database and lies beside it still, oldest first."""
    found = [
        path
        for state in (DAMAGED, LOST)
        for path in database.parent.glob(f"{database.name}.{state}-*")
        if not path.name.endswith(LOG_SUFFIXES)
    ]
    return sorted(found, key=lambda path: path.suffix.partition("-")[2])


def state_of(aside: Path) -> str:
    """Why it was set aside: ``DAMAGED`` or ``LOST``."""
    return aside.suffix.removeprefix(".").partition("-")[0]


def sync(path: Path) -> None:
    """Have what was written to a file, or the names in a directory, on the disk."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def connected(path: Path, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    """A database of which nothing is changed, while the block runs."""
    uri = f"file:{quote(str(path))}?mode={mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_SECONDS)) as connection:
        yield connection
