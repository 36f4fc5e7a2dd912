"""Whether the clock may be believed by what is removed for good because of its age."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from hydra_box.plan.clock import Moment, jump_seconds

DOUBT_SECONDS: Final = 86_400.0
"""How long a clock that was set is watched before anything is removed by it."""

LEAST_SECONDS: Final = 3600.0
"""A jump that ages nothing by more than this is none."""


def moment() -> Moment:
    """Now. Unlike ``time.monotonic`` its steady clock goes on while the machine sleeps."""
    return Moment(wall_seconds=time.time(), steady_seconds=time.clock_gettime(time.CLOCK_BOOTTIME))


class ClockTrust:
    """A clock that was set has to hold for a day: one that is a year ahead is put right by then.

    Args:
        read: both clocks.

    """

    def __init__(self, read: Callable[[], Moment] = moment) -> None:
        self._read = read
        self._before = read()
        self._set_at: float | None = None

    def is_earned(self) -> bool:
        """Whether nobody has set the clock for a day, or since this was made."""
        now = self._read()
        jump, self._before = jump_seconds(self._before, now), now
        if abs(jump) >= LEAST_SECONDS:
            self._set_at = now.steady_seconds
        return self._set_at is None or now.steady_seconds - self._set_at >= DOUBT_SECONDS
