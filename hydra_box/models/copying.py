"""Copies of a model's files: room is checked first, and what is copied can be stopped. Blocking."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from hydra_box.disk import require_room
from hydra_box.errors import DiskFull, InvalidModel, StateError
from hydra_box.stoppable import go_on

CHUNK_BYTES = 4 * 1024 * 1024


def check_room(directory: Path, needed_bytes: int, reserve_bytes: int) -> None:
    """Refuse what would leave too little room for the system on a directory's disk.

    Raises:
        DiskFull: says what is needed, what is free, and where.
    """
    require_room(
        "the copy",
        directory,
        needed_bytes,
        reserve_bytes,
        hint="import it without a copy, or remove a model (hydra-box models stored)",
        param="path",
    )


def copy_files(pairs: Sequence[tuple[Path, Path]], stop: threading.Event) -> None:
    """Copy each file to the path beside it, where a link to it may stand already.

    Raises:
        DiskFull: the disk is full.
        InvalidModel: a file changed meanwhile.
        StateError: a file cannot be read or written.
        Stopped: it was told to.
    """
    for source, target in pairs:
        try:
            target.unlink(missing_ok=True)
            _copy(source, target, stop)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(
                    f"{target.parent} is full: {source} was not copied",
                    hint="import it without a copy, or remove a model (hydra-box models stored)",
                    param="path",
                ) from error
            raise StateError(
                f"{source} cannot be copied to {target.parent}: {error.strerror}",
                hint="check both disks, and that this user may read the file",
            ) from error


def _copy(source: Path, target: Path, stop: threading.Event) -> None:
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with source.open("rb", buffering=0) as reading, target.open("xb", buffering=0) as writing:
        before, copied_bytes = os.fstat(reading.fileno()), 0
        # One that somebody still writes could go on for ever.
        while copied_bytes <= before.st_size and (count := reading.readinto(buffer)):
            go_on(stop)
            copied_bytes += count
            left = buffer[:count]
            while left:
                left = left[writing.write(left) :]
        # The library's row is on the disk before anything else is; so must be what it tells of.
        os.fsync(writing.fileno())
        after = os.fstat(reading.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise InvalidModel(
            f"{source} was changed while it was copied", hint="import it again", param="path"
        )
