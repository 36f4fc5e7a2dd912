"""What a fetch may take: connections, room on the disk, bytes a second, patience."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Lock

from hydra_box.types import Frozen

MIB = 1024 * 1024


class FetchLimits(Frozen, frozen=True, kw_only=True):
    """How one download is carried out."""

    connections: int = 8
    part_bytes: int = 32 * MIB
    """The most that one request asks for."""
    block_bytes: int = MIB
    """What is remembered: a kill loses the blocks under way, one a connection."""
    reserve_bytes: int = 0
    """Room on the disk that stays free."""
    most_tries: int = 30
    """Of a request, in a row, while no block of the file comes: about 25 minutes."""
    first_delay_seconds: float = 1.0
    longest_delay_seconds: float = 60.0


class RateLimit:
    """Bytes a second that all fetches together may take; safe to use from several threads."""

    def __init__(
        self, bytes_per_second: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Make it; 0: no limit."""
        self._rate = bytes_per_second
        self._monotonic = monotonic
        self._free_at = 0.0
        self._lock = Lock()

    def take(self, count: int, stop: Event) -> None:
        """Return when ``count`` more bytes may be taken, or when ``stop`` is set."""
        if not self._rate:
            return
        with self._lock:
            now = self._monotonic()
            self._free_at = max(self._free_at, now) + count / self._rate
            wait = self._free_at - now
        stop.wait(wait)
