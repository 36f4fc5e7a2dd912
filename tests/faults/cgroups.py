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
    """A cgroup whose processes may take no more memory, once it is closed."""

    def __init__(self, directory: Path, *, version: int) -> None:
        self._directory = directory
        self._limit = "memory.max" if version == 2 else "memory.limit_in_bytes"

    def take(self, pid: int) -> None:
        """Put a process in; what it has already counts elsewhere."""
        (self._directory / "cgroup.procs").write_text(str(pid))

    def limit(self, limit_bytes: int) -> None:
        """From now on whoever asks for more is ended by the kernel."""
        (self._directory / self._limit).write_text(str(limit_bytes))


@contextmanager
def memory_group() -> Iterator[MemoryGroup | None]:
    """A cgroup for a block; None where this user or machine allows none."""
    version = 2 if (V2 / "cgroup.controllers").exists() else 1
    try:
        directory = Path(tempfile.mkdtemp(prefix="hb-faults-", dir=V1 if version == 1 else V2))
        made = MemoryGroup(directory, version=version)
        made.limit(1 << 40)
    except OSError:
        yield None
        return
    try:
        yield made
    finally:
        os.rmdir(directory)  # noqa: PTH106 - a cgroup is removed with its files in it
