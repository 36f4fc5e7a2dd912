"""How the C library gives memory back: a daemon that runs for months must not only take it.

Its looks at processes and logs are made in threads, and are large for a moment. glibc gives each
thread a heap of its own and raises its thresholds after each large block, so that what is freed
stays with the process: half an hour of dying engines left it with 54 MiB more than before.
"""

from __future__ import annotations

import ctypes
from typing import Final

# mallopt(3).
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8

THRESHOLD_BYTES: Final = 128 * 1024
"""glibc's own first value; one that is set is not raised any more."""


def give_back_freed_memory() -> bool:
    """Have the C library use one heap, and return what is free at its end to the kernel.

    Call it before the first thread is started: heaps that are there already stay.

    Returns:
        Whether the C library can; musl has no such settings, and keeps little.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wanted = (
        (_M_ARENA_MAX, 1),
        (_M_MMAP_THRESHOLD, THRESHOLD_BYTES),
        (_M_TRIM_THRESHOLD, THRESHOLD_BYTES),
    )
    return all(mallopt(name, value) == 1 for name, value in wanted)
