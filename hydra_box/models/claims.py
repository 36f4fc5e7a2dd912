"""Which files this process is fetching, so that two downloads with a file in common take turns."""

from __future__ import annotations

from pathlib import Path
from threading import Condition, Event

from hydra_box.stoppable import go_on

WAKE_SECONDS = 0.5


class Claims:
    """Paths, each held by one thread at a time."""

    def __init__(self) -> None:
        self._held: set[Path] = set()
        self._changed = Condition()

    def is_held(self, path: Path) -> bool:
        """Whether a thread has it."""
        with self._changed:
            return path in self._held

    def take(self, path: Path, stop: Event) -> None:
        """Return when no other thread has it.

        Raises:
            Stopped: ``stop`` was set meanwhile.
        """
        with self._changed:
            while path in self._held:
                go_on(stop)
                self._changed.wait(WAKE_SECONDS)
            self._held.add(path)

    def give_back(self, path: Path) -> None:
        """Let the next one have it."""
        with self._changed:
            self._held.discard(path)
            self._changed.notify_all()
