"""Whether the clock was set, seen by one that nobody sets."""

from __future__ import annotations

from hydra_box.plan.words import time_left
from hydra_box.types import Frozen


class Moment(Frozen, frozen=True, kw_only=True):
    """Both clocks at the same time."""

    wall_seconds: float
    """Unix time."""
    steady_seconds: float
    """Since the machine was started, the time that it slept included."""


def jump_seconds(before: Moment, now: Moment) -> float:
    """By how much the clock was set between two looks; negative: back."""
    passed = now.steady_seconds - before.steady_seconds
    return now.wall_seconds - before.wall_seconds - passed


def describe(jump: float) -> str:
    """In words."""
    return f"the clock was set {'back' if jump < 0 else 'forward'} by {_span(abs(jump))}"


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else time_left(int(seconds))
