"""How fast all fetches together may be."""

from __future__ import annotations

from threading import Event, Thread

from hydra_box.models.fetch import RateLimit


class Clock:
    """Stands still until it is told the time."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Naps(Event):
    """Notes how long it was waited for, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0.0)
        return False


def test_bytes_are_paid_for_in_their_order() -> None:
    clock, naps = Clock(), Naps()
    rate = RateLimit(1000, monotonic=clock)
    for _ in range(3):
        rate.take(500, naps)
    assert naps.seconds == [0.5, 1.0, 1.5]
    # What was not used is not saved up: a pause is no right to a burst.
    clock.now = 200.0
    rate.take(500, naps)
    assert naps.seconds[-1] == 0.5


def test_no_limit_waits_for_nothing() -> None:
    naps = Naps()
    RateLimit(0).take(1 << 40, naps)
    assert naps.seconds == []


def test_who_is_stopped_waits_no_longer() -> None:
    stop = Event()
    waiting = Thread(target=RateLimit(1).take, args=(3600, stop))
    waiting.start()
    stop.set()
    waiting.join(30)
    assert not waiting.is_alive()
