"""How fast bytes arrive."""

from __future__ import annotations

from hydra_box.downloads.speed import WINDOW_SECONDS, Speed
from hydra_box.types import Transfer


def test_nothing_is_known_before_two_samples() -> None:
    speed = Speed()
    assert speed.transfer(100) == Transfer(done_bytes=0, total_bytes=100)
    speed.note(1.0, 40)
    assert speed.transfer(100) == Transfer(done_bytes=40, total_bytes=100)


def test_the_time_that_is_left_follows_from_the_last_seconds() -> None:
    speed = Speed()
    for second in range(20):
        # Ten bytes a second at first, one later: only the later count.
        speed.note(float(second), 100 + second * 10 if second < 10 else 190 + (second - 9))
    found = speed.transfer(300)
    assert found.done_bytes == 200
    assert found.bytes_per_second == 1.0
    assert found.remaining_seconds == 100.0


def test_what_stands_still_has_no_end() -> None:
    speed = Speed()
    for second in (0.0, 1.0, WINDOW_SECONDS * 3, WINDOW_SECONDS * 4):
        speed.note(second, 50)
    assert speed.transfer(100).bytes_per_second == 0
    assert speed.transfer(100).remaining_seconds is None


def test_bytes_that_are_thrown_away_are_no_speed() -> None:
    speed = Speed()
    speed.note(0.0, 100)
    speed.note(1.0, 20)
    assert speed.transfer(100) == Transfer(done_bytes=20, total_bytes=100)
