"""One SQLite file and the one thread that owns it.

A connection of sqlite3 belongs to the thread that opened it, and a write waits for the disk:
so every call is handed to the owner thread, in order, and awaited. Each is one transaction.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import sqlite_utils

from hydra_box.disk import free_bytes
from hydra_box.errors import DamagedState, DiskFull, HydraError, InvalidRequest, StateError

T = TypeVar("T")

BUSY_TIMEOUT_SECONDS = 5.0
"""How long to wait for another program (a backup, a shell) that holds the file."""

_OWN_DIRECTORY = "set HYDRA_BOX_HOME to a directory that you may write to"
_DAMAGED = (
    "the next start (hydra-box restart, or hydra-box serve where none runs) puts the box's newest "
    "backup in its place; hydra-box restore FILE another"
)
_HEADING = "*** in database main ***"
"""What SQLite says before what is wrong with a file that is the only one."""
_NO_ROOM = "free some space on its disk"
_FULL_BYTES = 64 * 1024
"""With less of it free an error of the disk means that it is full: SQLite does not always say."""
_FULL_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CANNOT_WRITE = frozenset({"SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH"})
_BROKEN = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT"})
_TAKEN = frozenset({"SQLITE_BUSY", "SQLITE_LOCKED"})

_log = logging.getLogger(__name__)


class Database:
    """A SQLite file in WAL mode. What has been awaited is on the disk.

    ``synchronous=FULL`` flushes at every commit, so that neither a SIGKILL of the daemon nor the
    loss of power undoes a write that was answered; writes are rare enough for that.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._connection: sqlite_utils.Database | None = None

    @classmethod
    async def open(cls, path: Path, prepare: Callable[[sqlite_utils.Database], None]) -> Database:
        """Open the file (made if it is missing), check it, and ``prepare`` its tables.

        Raises:
            StateError: it cannot be written, is damaged, or ``prepare`` refuses it.
            DiskFull: there is no room for it.

        """
        database = cls(path)
        try:
            await database._call(lambda: database._connect(prepare))
        except BaseException:
            await database.close()
            raise
        return database

    async def run(self, work: Callable[[sqlite_utils.Database], T]) -> T:
        """What ``work`` returns, done on the owner thread in one transaction.

        Once asked for it is carried out, also when the task that waits for it is cancelled.

        Raises:
            StateError: the file is closed, damaged, locked or cannot be written.
            DiskFull: it has no room to grow.
            InvalidRequest: a value is one that SQLite cannot hold.

        """
        return await self._call(lambda: self._transact(work))

    async def close(self) -> None:
        """Carry out what was asked for, then close the file. Closing twice is no error."""
        try:
            future = self._executor.submit(self._disconnect)
        except RuntimeError:
            return
        self._executor.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(future))

    async def _call(self, job: Callable[[], T]) -> T:
        try:
            future = self._executor.submit(self._translated, job)
        except RuntimeError as error:
            raise StateError(f"{self.path} is closed") from error
        waiting = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            waiting.add_done_callback(_log_failure)
            raise

    def _translated(self, job: Callable[[], T]) -> T:
        with translated(self.path):
            return job()

    def _connect(self, prepare: Callable[[sqlite_utils.Database], None]) -> None:
        # Made here and not by SQLite, because it holds what only this user may read.
        self.path.touch(mode=0o600)
        connection = sqlite_utils.Database(
            sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_SECONDS),
            recursive_triggers=False,
            execute_plugins=False,
        )
        self._connection = connection
        connection.enable_wal()
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        require_whole(connection.conn, self.path)
        prepare(connection)

    def _transact(self, work: Callable[[sqlite_utils.Database], T]) -> T:
        if self._connection is None:
            raise StateError(f"{self.path} is closed")
        with self._connection.atomic() as connection:
            return work(connection)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def require_whole(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file whose pages do not make a database.

    Raises:
        DamagedState: it says what is wrong.

    """
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        found = " ".join(verdict.removeprefix(_HEADING).split())
        raise DamagedState(f"{path} is damaged: {found}", hint=_DAMAGED)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """What goes wrong with a file in the block comes out as a ``HydraError`` that names it."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from error
    except OSError as error:
        if error.errno in _FULL_ERRORS:
            raise DiskFull(f"{path} cannot grow: {error.strerror}", hint=_NO_ROOM) from error
        raise StateError(
            f"{path} cannot be written: {error.strerror}", hint=_OWN_DIRECTORY
        ) from error
    except UnicodeDecodeError as error:
        # SQLite quotes what it has read in its messages, and that may be anything.
        raise DamagedState(f"{path} is damaged: {error}", hint=_DAMAGED) from error
    except (UnicodeEncodeError, OverflowError) as error:
        raise InvalidRequest(f"a value cannot be stored: {error}") from error


def translate(error: sqlite3.Error, path: Path) -> HydraError:
    """SQLite's error as ours, naming the file."""
    # Extended codes have a longer name: SQLITE_READONLY_DIRECTORY is a SQLITE_READONLY.
    name = getattr(error, "sqlite_errorname", "")
    kind = "_".join(name.split("_")[:2])
    if kind in _CANNOT_WRITE:
        return StateError(f"{path} cannot be written: {error}", hint=_OWN_DIRECTORY)
    if kind in _BROKEN:
        return DamagedState(f"{path} is damaged: {error}", hint=_DAMAGED)
    if kind in _TAKEN:
        return StateError(
            f"{path} has been locked by another program for {BUSY_TIMEOUT_SECONDS:.0f} s",
            hint="end the program that has it open",
        )
    if kind == "SQLITE_FULL" or (kind == "SQLITE_IOERR" and free_bytes(path) < _FULL_BYTES):
        return DiskFull(f"{path} cannot grow: {error}", hint=_NO_ROOM)
    return StateError(f"{path}: {error}")


def _log_failure(waiting: asyncio.Future[T]) -> None:
    """Tell of a failure that nobody waits for any more."""
    if not waiting.cancelled() and (error := waiting.exception()) is not None:
        _log.error("a write that its caller gave up failed: %s", error)
