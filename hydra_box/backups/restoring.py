"""Putting a backup in the place of a state directory, while no daemon runs. Blocking.

Everything is checked before anything is changed. What was there is linked into a directory of its
own first, so that at no moment something is nowhere; the database is replaced last.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

from hydra_box.backups import archive, archive_reading
from hydra_box.config import Paths
from hydra_box.disk import require_room
from hydra_box.errors import Conflict, DamagedState, InvalidRequest, NotFound
from hydra_box.messages import BackupFile, Restored
from hydra_box.sockets import lock
from hydra_box.store import backup
from hydra_box.store.database import translated
from hydra_box.store.migrations import refuse_newer

_RESERVE_BYTES: Final = 64 * 1024 * 1024


def put_in_place(paths: Paths, file: Path, at: float) -> Restored:
    """Put a backup in the place of what is in the state directory.

    Args:
        paths: the state directory, which is made if it is missing.
        file: of ``hydra-box backup``, or a copy of a database, which replaces the database alone.
        at: the Unix time.

    Raises:
        Conflict: a daemon runs.
        NotFound: there is no such file.
        InvalidRequest: it is no backup, or not whole.
        DamagedState: its database is damaged.
        StateError: its database is of a newer Hydra Box, or something cannot be written.
        DiskFull: there is no room for it.

    """
    paths.create()
    try:
        with lock(paths):
            return _restore(paths, file, at)
    except Conflict as error:
        hint = "end it first: systemctl stop hydra-box, or kill that pid"
        raise Conflict(error.message, hint=hint) from error


def automatic_backups(paths: Paths) -> list[BackupFile]:
    """The box's own backups, newest first."""
    return [
        BackupFile(
            file=str(path),
            size_bytes=path.stat().st_size,
            created_at=backup.moment(path.name),
        )
        for path in backup.backups_in(paths.backups)
    ]


def _restore(paths: Paths, file: Path, at: float) -> Restored:
    with (
        translated(paths.backups),
        tempfile.TemporaryDirectory(prefix=archive.STAGING, dir=paths.backups) as directory,
    ):
        staging = Path(directory)
        created_at = _unpack(file, staging)
        database = staging / archive.DATABASE
        migrations = backup.check(database)
        refuse_newer(migrations, file)
        _forget_instances(database)
        aside = backup.free_name(paths.backups / f"before-restore-{backup.stamp(at)}")
        aside.mkdir(mode=0o700)
        members = _members(staging)
        _link_aside(paths, aside, whole=created_at is not None)
        _move(paths, staging, members)
    return Restored(
        file=str(file),
        created_at=created_at,
        migrations=migrations,
        members=tuple(members),
        set_aside=str(aside),
    )


def _unpack(file: Path, staging: Path) -> float | None:
    """The backup's files, checked; when it was made, unless it is a database alone."""
    if not file.exists():
        raise NotFound(f"{file} does not exist", param="file")
    if not file.is_file():
        raise InvalidRequest(f"{file} is no file", hint=archive_reading.ANOTHER, param="file")
    if _is_database(file):
        try:
            backup.copy(file, staging / archive.DATABASE)
        except DamagedState as error:
            raise DamagedState(error.message, hint=archive_reading.ANOTHER) from error
        return None
    with archive_reading.opened(file) as opened:
        needed = sum(one.size_bytes for one in opened.manifest.members)
        require_room("the restored state", staging, needed, _RESERVE_BYTES, hint="free some space")
        for reading in opened.members():
            target = staging / reading.member.name
            target.parent.mkdir(mode=0o700, exist_ok=True)
            target.touch(mode=0o600)
            for chunk in reading.chunks():
                with translated(target), target.open("ab") as writing:
                    writing.write(chunk)
            with translated(target):
                backup.sync(target)
        return opened.manifest.created_at


def _is_database(file: Path) -> bool:
    with translated(file), file.open("rb") as start:
        return start.read(len(backup.MAGIC)) == backup.MAGIC


def _forget_instances(database: Path) -> None:
    """Their processes were of another time, or of another machine."""
    with translated(database), closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM instances")


def _members(staging: Path) -> list[str]:
    """What there is to put in place, the database last."""
    found = (str(one.relative_to(staging)) for one in staging.rglob("*") if one.is_file())
    return sorted(found, key=lambda name: (name == archive.DATABASE, name))


def _link_aside(paths: Paths, aside: Path, *, whole: bool) -> None:
    """Give everything that is replaced a second name.

    Args:
        paths: the state directory.
        aside: where the second names go.
        whole: everything is replaced, and what the backup has not goes; else the database alone.

    """
    goes = []
    if whole:
        journal = paths.usage_journal
        goes += [paths.config, paths.catalog, *journal.parent.glob(f"{journal.name}.*")]
        for key in paths.upstream_keys.glob("*.key"):
            (aside / "upstreams").mkdir(mode=0o700, exist_ok=True)
            _link(key, aside / "upstreams" / key.name)
    present = [path for path in (*goes, *_logs(paths.database), paths.database) if path.exists()]
    for path in present:
        _link(path, aside / path.name)
    for directory in (*aside.glob("upstreams"), aside, aside.parent):
        backup.sync(directory)
    for path in goes:
        path.unlink(missing_ok=True)


def _link(path: Path, target: Path) -> None:
    try:
        target.hardlink_to(path)
    except OSError:
        # Another file system, or one without links.
        shutil.copy2(path, target)
        backup.sync(target)


def _logs(database: Path) -> list[Path]:
    return [database.with_name(f"{database.name}{suffix}") for suffix in backup.LOG_SUFFIXES]


def _move(paths: Paths, staging: Path, members: list[str]) -> None:
    for name in members:
        if name == archive.DATABASE:
            # One that stays would be taken for the log of the next database. Not earlier: what is
            # broken off before leaves the old database with its log.
            for log in _logs(paths.database):
                log.unlink(missing_ok=True)
        (staging / name).replace(paths.home / name)
    for directory in {(paths.home / name).parent for name in members}:
        backup.sync(directory)
