"""Watches the clock: what is written in wall time is odd for a while when somebody sets it."""

from __future__ import annotations

from collections.abc import Callable

from hydra_box.alarms import Alarms
from hydra_box.clock_trust import moment
from hydra_box.plan.clock import Moment, describe, jump_seconds

ALARM = "clock.jump"
SHOWN_SECONDS = 900.0
"""How long a jump needs attention."""


class ClockWatch:
    """Raises an alarm when the clock was set, for a while.

    Args:
        alarms: where.
        least_seconds: less than this is a correction, as time servers make them.
        read: both clocks.

    """

    def __init__(
        self, alarms: Alarms, least_seconds: float, read: Callable[[], Moment] = moment
    ) -> None:
        self._alarms = alarms
        self._least_seconds = least_seconds
        self._read = read
        self._before = read()
        self._jumped_at: float | None = None

    def look(self) -> None:
        """Compare the clocks with what they were at the last look."""
        now = self._read()
        jump, self._before = jump_seconds(self._before, now), now
        if abs(jump) >= self._least_seconds:
            # A second jump is another event.
            self._alarms.clear(ALARM)
            self._jumped_at = now.steady_seconds
            self._alarms.raise_(
                ALARM,
                describe(jump),
                hint="times in events, usage and quotas are by the clock as it is now; "
                "hydra-box doctor checks it",
            )
        elif self._jumped_at is not None and now.steady_seconds - self._jumped_at > SHOWN_SECONDS:
            self._jumped_at = None
            self._alarms.clear(ALARM)
