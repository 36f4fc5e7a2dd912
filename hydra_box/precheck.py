"""Whether a daemon would start here: it reads what a daemon reads, and changes nothing."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil
import sqlite_utils

from hydra_box.catalog import Catalog
from hydra_box.config import Paths, Settings
from hydra_box.errors import Conflict, DamagedState, StateError
from hydra_box.exposure import Terms, refuse_open_bind
from hydra_box.handover import KEPT_VARIABLE
from hydra_box.sockets import listen
from hydra_box.store import backup
from hydra_box.store.database import translated
from hydra_box.store.migrations import applied, refuse_newer
from hydra_box.store.schema import STEPS
from hydra_box.tls import open_tls

_TERMS: Final = """
    SELECT keys.revoked_at, keys.disabled_at, users.disabled_at, keys.expires_at
    FROM keys JOIN users ON users.id = keys.owner_id
"""


def check(paths: Paths, settings: Settings, environ: Mapping[str, str]) -> None:
    """Return if a daemon with these settings would start, but for the lock on its directory.

    A port that this box's own daemon holds is free for the one that follows it, and an address
    that the environment names as kept is not opened again.

    Raises:
        HydraError: what keeps it from that.
    """
    open_tls(settings, environ)
    Catalog.load(paths)
    keys = _check_database(paths)
    kept = environ.get(KEPT_VARIABLE) == settings.address
    address = _number(settings) if kept else _check_address(paths, settings)
    if keys is not None:
        refuse_open_bind([address], keys, time.time())


def _check_database(paths: Paths) -> list[Terms] | None:
    """The keys in it, or in the backup that is to take its place; None: of an older version."""
    path, backups = paths.database, backup.backups_in(paths.backups)
    try:
        if path.exists() and path.stat().st_size:
            return _keys_in(path)
        if not backups:
            return []
        raise DamagedState(f"{path} is missing or empty, and no backup of it is whole")
    except DamagedState:
        for one in backups:
            with contextlib.suppress(StateError):
                backup.check(one)
                return _keys_in(one)
        raise


def _keys_in(path: Path) -> list[Terms] | None:
    uri = f"{path.as_uri()}?mode=ro"
    with translated(path), contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        migrations = applied(sqlite_utils.Database(connection))
        refuse_newer(migrations, path)
        if len(migrations) < len(STEPS):
            return None
        return [Terms(*row) for row in connection.execute(_TERMS)]


def _check_address(paths: Paths, settings: Settings) -> str:
    """Where it would listen, as a number.

    Raises:
        Conflict: another program has the port.
        ConfigError: the address is not one of this machine's.
    """
    try:
        with listen(settings.host, settings.port) as door:
            return str(door.getsockname()[0])
    except Conflict:
        if not _is_held_by_own_daemon(paths, settings.port):
            raise
        return _number(settings)


def _number(settings: Settings) -> str:
    """The address of its host, which may be given by its name."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return str(socket.getaddrinfo(settings.host, settings.port, family)[0][4][0])


def _is_held_by_own_daemon(paths: Paths, port: int) -> bool:
    """Whether the process that holds the state directory listens on the port."""
    try:
        doors = psutil.Process(int(paths.lock.read_text())).net_connections("tcp")
    except (OSError, ValueError, psutil.Error):
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in doors)
