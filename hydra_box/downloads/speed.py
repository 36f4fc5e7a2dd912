"""How fast bytes arrive, over the last seconds."""

from __future__ import annotations

from collections import deque

from hydra_box.types import Transfer

WINDOW_SECONDS = 5.0


class Speed:
    """Samples of a count that grows; what is older than ``WINDOW_SECONDS`` is forgotten."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def note(self, at: float, done_bytes: int) -> None:
        """The count at a time, in seconds of a clock that never goes back."""
        self._samples.append((at, done_bytes))
        while len(self._samples) > 2 and at - self._samples[1][0] >= WINDOW_SECONDS:
            self._samples.popleft()

    def transfer(self, total_bytes: int) -> Transfer:
        """How far it is, and how long the rest takes at this speed."""
        if not self._samples:
            return Transfer(done_bytes=0, total_bytes=total_bytes)
        (first_at, first), (last_at, last) = self._samples[0], self._samples[-1]
        # Bytes that prove wrong are thrown away, so that the count may fall.
        speed = max(0.0, (last - first) / (last_at - first_at)) if last_at > first_at else 0.0
        return Transfer(
            done_bytes=last,
            total_bytes=total_bytes,
            bytes_per_second=speed,
            remaining_seconds=(total_bytes - last) / speed if speed > 0 else None,
        )
