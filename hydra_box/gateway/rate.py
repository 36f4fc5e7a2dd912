"""Tokens per second of a service: now, and in its answers so far."""

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
        if self.tokens and not self._looks:
            # There were none when it was made, and that was a tick ago at the most.
            self._looks.append((now - TICK_SECONDS, 0))
        self._looks.append((now, self.tokens))

    def per_second(self) -> float:
        """Over the last ``WINDOW_TICKS`` looks."""
        if len(self._looks) < 2:
            return 0.0
        (begin, before), (end, after) = self._looks[0], self._looks[-1]
        # A stream of more events than tokens takes the difference back at its end.
        return round(max(0.0, (after - before) / (end - begin)), 1)


class Pace:
    """How fast a service's answers were made, one at a time."""

    __slots__ = ("_seconds", "_tokens")

    def __init__(self) -> None:
        self._seconds = 0.0
        self._tokens = 0

    def add(self, tokens: int, seconds: float) -> None:
        """An answer has ended; it has so many tokens, made in so long."""
        self._tokens += tokens
        self._seconds += seconds

    def tokens_in(self, seconds: float) -> int:
        """What an answer has after so long, at the mean of those so far; 0 before the first."""
        return round(seconds * self._tokens / self._seconds) if self._seconds > 0 else 0
