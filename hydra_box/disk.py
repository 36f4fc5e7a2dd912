"""Room on the disks, of which some stays free for the system."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from hydra_box.errors import DiskFull
from hydra_box.plan.transfer import has_room
from hydra_box.plan.words import gib


def nearest_existing(path: Path) -> Path:
    """The path, or the nearest one above it that exists and may be looked at."""
    # os.path answers False where this user may not look; pathlib raises.
    return next(one for one in (path, *path.parents) if os.path.exists(one))  # noqa: PTH110


def free_bytes(path: Path) -> int:
    """What is free on the disk of a path, which need not exist yet."""
    return shutil.disk_usage(nearest_existing(path)).free


def require_room(
    what: str,
    directory: Path,
    needed_bytes: int,
    reserve_bytes: int,
    *,
    hint: str,
    param: str | None = None,
    free: Callable[[Path], int] = free_bytes,
) -> None:
    """Refuse what would leave too little room for the system.

    Args:
        what: needs the room; the message begins with it.
        directory: where, on which disk.
        needed_bytes: how much.
        reserve_bytes: what stays free.
        hint: the next step.
        param: the field of the request that asked for it.
        free: tells the free bytes of a path's disk.

    Raises:
        DiskFull: says what is needed, what is free, and where.
    """
    there = free(directory)
    if not has_room(there, reserve_bytes, needed_bytes):
        raise DiskFull(
            f"{what} needs {gib(needed_bytes)} of disk; {directory} has {gib(there)} free, of "
            f"which {gib(reserve_bytes)} stay free for the system",
            hint=hint,
            param=param,
        )
