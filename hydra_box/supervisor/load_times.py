"""The one writer of load times: how long each way of running took to get ready."""

from __future__ import annotations

import time
from collections.abc import Callable

from hydra_box.journal import Journal
from hydra_box.plan.load_time import Weights, disk_speed, learned, load_seconds, load_time_id
from hydra_box.store import Store
from hydra_box.types import LoadTime, Way


class LoadTimes:
    """Kept in memory for the next start, and in the store for the next boot."""

    def __init__(
        self, store: Store, journal: Journal, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock
        self._known: dict[str, LoadTime] = {}

    async def load(self) -> None:
        """Read what earlier daemons learned."""
        self._known = {one.id: one for one in await self._store.load_times()}

    def seconds(self, way: Way, weights: Weights) -> float:
        """How long a start is expected to take from its beginning."""
        known = self._known.get(load_time_id(way))
        return load_seconds(way.engine, weights, known, self.bytes_per_second())

    def bytes_per_second(self) -> float:
        """What a disk gives, as far as it was seen."""
        return disk_speed(self._known.values())

    def learn(self, way: Way, weights: Weights, seconds: float, reading_seconds: float) -> None:
        """Take in how long a start took, of which it read for so long from the disk."""
        id = load_time_id(way)
        new = LoadTime(
            id=id,
            seconds=seconds,
            cold_bytes=weights.cold_bytes,
            reading_seconds=reading_seconds,
            updated_at=self._clock(),
        )
        new = learned(self._known.get(id), new, way.engine, self.bytes_per_second())
        self._known[id] = new
        self._journal.enqueue(lambda: self._store.save_load_time(new))
