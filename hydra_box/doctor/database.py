"""What ``doctor`` says of the database and its backups; it only reads, also beside a daemon."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

import sqlite_utils

from hydra_box.backups.set_aside import find_left
from hydra_box.config import Paths
from hydra_box.doctor.findings import ERROR, INFO, WARNING, finding
from hydra_box.errors import HydraError
from hydra_box.plan.words import counted
from hydra_box.shown.numbers import duration, size
from hydra_box.store.backup import LOG_SUFFIXES, backups_in, moment
from hydra_box.store.database import BUSY_TIMEOUT_SECONDS, require_whole, translated
from hydra_box.store.migrations import applied, refuse_newer
from hydra_box.types import Finding

CHECK: Final = "database"
OLD_BACKUP_SECONDS: Final = 2 * 86_400.0
"""The box makes one every day; one that is older says that it cannot."""


def check_database(paths: Paths, *, running: bool) -> tuple[list[Finding], float | None]:
    """Whether the database is whole, and what could take its place if it were not.

    Returns:
        The findings, and the Unix time of the newest event that is in it.
    """
    path = paths.database
    try:
        if not path.exists() or not path.stat().st_size:
            return [_nothing(paths), *_left(paths)], None
        newest = _read(path)
    except HydraError as error:
        return [finding(CHECK, ERROR, error.message, error.hint), *_left(paths)], None
    except OSError as error:
        text = f"{path} cannot be looked at: {error.strerror}"
        hint = f"run doctor as the user who owns {paths.home}"
        return [finding(CHECK, ERROR, text, hint)], None
    whole = finding(CHECK, INFO, f"{path} is whole, {size(path.stat().st_size)}")
    return [whole, *_left(paths), _backups(paths, running=running)], newest


def _read(path: Path) -> float | None:
    """Read all of it; when its newest event was.

    Raises:
        DamagedState: its pages do not make a database.
        StateError: it cannot be read, or a newer version has written it.
    """
    # Without a log nobody has it open, and reading it must not make one.
    logged = any(path.with_name(f"{path.name}{one}").exists() for one in LOG_SUFFIXES)
    uri = f"file:{quote(str(path))}?mode=ro{'' if logged else '&immutable=1'}"
    with (
        translated(path),
        closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_SECONDS)) as connection,
    ):
        require_whole(connection, path)
        migrations = applied(sqlite_utils.Database(connection))
        refuse_newer(migrations, path)
        if not migrations:
            return None
        (newest,) = connection.execute("SELECT max(at) FROM events").fetchone()
    return None if newest is None else float(newest)


def _nothing(paths: Paths) -> Finding:
    """That there is none: of a new box, or lost."""
    if not backups_in(paths.backups):
        return finding(CHECK, INFO, f"{paths.database} does not exist yet; the daemon makes it")
    text = f"{paths.database} is missing or empty, and there are backups of it"
    hint = "a start puts the newest in its place; hydra-box restore FILE another"
    return finding(CHECK, ERROR, text, hint)


def _left(paths: Paths) -> list[Finding]:
    """What lies beside it because something was wrong once."""
    found = []
    if left := find_left(paths):
        found.append(finding(CHECK, left.severity, left.message, left.hint))
    unreadable = paths.usage_journal.with_name(f"{paths.usage_journal.name}.unreadable")
    if unreadable.exists():
        text = f"{unreadable} has lines of the usage journal that are no requests"
        hint = "look at them: they are in no report; then remove the file"
        found.append(finding("usage journal", WARNING, text, hint))
    return found


def _backups(paths: Paths, *, running: bool) -> Finding:
    check, found = "backups", backups_in(paths.backups)
    if not found:
        text = f"none in {paths.backups}: the daemon makes one when it starts, and every day"
        if running:
            return finding(check, WARNING, text, "hydra-box backup FILE makes one now")
        return finding(check, INFO, text)
    age = time.time() - moment(found[0].name)
    shown = f"{counted(len(found), 'backup')}, the newest {duration(age)} old"
    if running and age > OLD_BACKUP_SECONDS:
        hint = "hydra-box status says why there is none of today; hydra-box backup FILE makes one"
        return finding(check, WARNING, shown, hint)
    return finding(check, INFO, f"{shown}; hydra-box backup FILE makes one for elsewhere")
