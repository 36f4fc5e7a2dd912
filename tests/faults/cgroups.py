"""A memory cgroup of a test's own, in which the kernel ends what takes too much."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

V1 = Path("/sys/fs/cgroup/memory")
V2 = Path("/sys/fs/cgroup")


class MemoryGroup:
    """A cgroup in which whoever asks for more than its limit is ended by the kernel."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def take(self, pid: int) -> None:
        """Put a process in; what it has already counts elsewhere."""
        (self._directory / "cgroup.procs").write_text(str(pid))


@contextmanager
def memory_group(limit_bytes: int) -> Iterator[MemoryGroup | None]:
    """A cgroup for a block; None where this user or machine allows none.

    It has its limit before it has a process: one that is under what is in use already is refused.
    """
    version = 2 if (V2 / "cgroup.controllers").exists() else 1
    try:
        directory = Path(tempfile.mkdtemp(prefix="hb-faults-", dir=V1 if version == 1 else V2))
        limit = "memory.max" if version == 2 else "memory.limit_in_bytes"
        (directory / limit).write_text(str(limit_bytes))
    except OSError:
        yield None
        return
    try:
        yield MemoryGroup(directory)
    finally:
        os.rmdir(directory)  # noqa: PTH106 - a cgroup is removed with its files in it
