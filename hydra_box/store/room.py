"""Room on the disk that is kept for the next start. Blocking.

A database that was closed needs some to be opened: without it a box whose disk is full would not
come back after a reboot, although it needs no room to serve.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from hydra_box.disk import free_bytes
from hydra_box.store.database import translated

KEPT_BYTES: Final = 4 * 1024 * 1024
_NAME: Final = "reserved-room"
_PLENTY: Final = 4
"""It is only taken where that many times as much is free."""


def keep_room(directory: Path) -> None:
    """Take the room, if it is not taken and there is plenty.

    Raises:
        StateError: the file cannot be made.
        DiskFull: others took the room meanwhile.

    """
    path = directory / _NAME
    if path.exists() or free_bytes(directory) < _PLENTY * KEPT_BYTES:
        return
    with translated(path):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(file, 0, KEPT_BYTES)
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(file)


def give_room(directory: Path) -> bool:
    """Give the room back; whether there was any."""
    path = directory / _NAME
    with translated(path):
        if not path.exists():
            return False
        path.unlink()
    return True
