"""Tokens per second of a service, from a counter that the relay only adds to."""

from __future__ import annotations

from collections import deque

TICK_SECONDS = 1.0
"""Between two looks at the counter."""

WINDOW_TICKS = 5


class TokenRate:
    """Completion tokens so far, and how fast they come."""

    __slots__ = ("_looks", "tokens")

    def __init__(self) -> None:
        self.tokens = 0
        """While a stream goes on, each of its events counts as one token; at its end they are
        replaced with what the engine counted."""
        self._looks: deque[tuple[float, int]] = deque(maxlen=WINDOW_TICKS + 1)

    def look(self, now: float) -> None:
        """Note how many there are; ``now`` is in seconds of any clock that never goes back."""
        self._looks.append((now, self.tokens))

    def per_second(self) -> float:
        """Over the last ``WINDOW_TICKS`` looks."""
        if len(self._looks) < 2:
            return 0.0
        (begin, before), (end, after) = self._looks[0], self._looks[-1]
        # A stream of more events than tokens takes the difference back at its end.
        return round(max(0.0, (after - before) / (end - begin)), 1)
