"""What happened: one bus, many listeners, each with a bounded queue."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from hydra_box.types import Event

QUEUE_LENGTH = 1024


class EventBus:
    """Hands every published event to every subscriber, in order, without waiting for any.

    A subscriber that lags more than ``QUEUE_LENGTH`` events loses the oldest of them.
    """

    def __init__(self) -> None:
        self.happened: Counter[str] = Counter()
        """Events since the daemon started, by kind; progress is none."""
        self._queues: set[asyncio.Queue[Event | None]] = set()
        self._closed = False

    def publish(self, event: Event) -> None:
        """Tell everyone; never blocks."""
        if event.transfer is None:
            self.happened[event.kind] += 1
        self._put(event)

    def close(self) -> None:
        """End every subscription, those to come included."""
        self._closed = True
        self._put(None)

    def _put(self, item: Event | None) -> None:
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(item)

    @contextmanager
    def subscribe(self) -> Iterator[AsyncIterator[Event]]:
        """Events published from now until the block is left or the bus is closed."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue(QUEUE_LENGTH)
        if self._closed:
            queue.put_nowait(None)
        self._queues.add(queue)
        try:
            yield _drain(queue)
        finally:
            self._queues.discard(queue)


async def _drain(queue: asyncio.Queue[Event | None]) -> AsyncIterator[Event]:
    while (event := await queue.get()) is not None:
        yield event
