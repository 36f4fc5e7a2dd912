"""A disk that a test may fill, lock read-only and take away: a tmpfs of its own."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import pytest

BALLAST = "ballast"


class SmallDisk:
    """A mounted file system of a few MiB."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        """Leave not one byte."""
        with (self.path / BALLAST).open("ab", buffering=0) as file:
            for part in (1 << 20, 1 << 12, 1):
                while _written(file, part):
                    pass

    def make_room(self) -> None:
        """Undo ``fill``."""
        (self.path / BALLAST).unlink()

    def free_bytes(self) -> int:
        """What is free now."""
        about = os.statvfs(self.path)
        return about.f_bavail * about.f_frsize

    def remount(self, option: str) -> None:
        """``ro`` or ``rw``."""
        subprocess.run(("mount", "-o", f"remount,{option}", self.path), check=True)


def _written(file: FileIO, count_bytes: int) -> bool:
    try:
        file.write(bytes(count_bytes))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[SmallDisk]:
    """Mount one at a directory, which is made; the test is skipped where that is not allowed."""
    path.mkdir(mode=0o700, parents=True)
    mount = ("mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(path))
    try:
        done = subprocess.run(mount, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount program here")
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(("umount", "--lazy", path), check=True)
