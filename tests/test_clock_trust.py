"""What is removed for good because of its age waits until a clock that was set has held."""

from __future__ import annotations

from hydra_box.clock_trust import DOUBT_SECONDS, ClockTrust
from hydra_box.plan.clock import Moment

YEAR_SECONDS = 365 * 86_400.0


class Clocks:
    """Both clocks, set by the test."""

    def __init__(self) -> None:
        self.wall = 1_795_000_000.0
        self.steady = 1000.0

    def __call__(self) -> Moment:
        return Moment(wall_seconds=self.wall, steady_seconds=self.steady)

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += seconds
        self.steady += seconds


def test_a_clock_that_nobody_sets_is_believed() -> None:
    clocks = Clocks()
    trust = ClockTrust(clocks)
    for _ in range(50):
        assert trust.is_earned()
        clocks.pass_by(3600.0)
        clocks.wall += 5.0  # A time server corrects it.
    assert trust.is_earned()


def test_one_that_was_set_is_believed_after_a_day() -> None:
    clocks = Clocks()
    trust = ClockTrust(clocks)
    clocks.wall += YEAR_SECONDS
    assert not trust.is_earned()
    clocks.pass_by(DOUBT_SECONDS - 1.0)
    assert not trust.is_earned()
    clocks.pass_by(1.0)
    assert trust.is_earned()


def test_one_that_is_put_right_again_is_doubted_from_then_on() -> None:
    clocks = Clocks()
    trust = ClockTrust(clocks)
    clocks.wall += YEAR_SECONDS
    assert not trust.is_earned()
    clocks.pass_by(DOUBT_SECONDS / 2)
    clocks.wall -= YEAR_SECONDS
    assert not trust.is_earned()
    clocks.pass_by(DOUBT_SECONDS / 2)
    assert not trust.is_earned()
    clocks.pass_by(DOUBT_SECONDS / 2)
    assert trust.is_earned()
