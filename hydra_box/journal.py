"""Writes behind the work: what happened goes to the store in order, off everyone's path."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from hydra_box.errors import HydraError
from hydra_box.events import EventBus
from hydra_box.store import Store
from hydra_box.types import Event, Service, Severity, Transfer

log = logging.getLogger(__name__)

_LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
}


class Record(Protocol):
    """Notes that something happened: ``Journal.record``, for rooms that know of no service."""

    def __call__(self, kind: str, message: str, *, severity: Severity = Severity.INFO) -> None:
        """Store it, publish it and log it."""


class Journal:
    """Events and other late writes, carried out one after another by one task."""

    def __init__(
        self, store: Store, bus: EventBus, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._queue: asyncio.Queue[Callable[[], Awaitable[object]]] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="journal")

    def record(
        self,
        kind: str,
        message: str,
        *,
        severity: Severity = Severity.INFO,
        service: Service | None = None,
        instance_id: str | None = None,
        download_id: str | None = None,
    ) -> None:
        """Note that something happened; it is stored, published and logged."""
        log.log(_LEVELS[severity], "%s", message)
        event = Event(
            id=0,
            at=self._clock(),
            kind=kind,
            message=message,
            severity=severity,
            service_id=service.id if service else None,
            service_name=service.name if service else None,
            instance_id=instance_id,
            download_id=download_id,
        )

        async def store_and_publish() -> None:
            self._bus.publish(await self._store.add_event(event))

        self.enqueue(store_and_publish)

    def tell(self, kind: str, message: str, *, download_id: str, transfer: Transfer) -> None:
        """Publish progress; it is neither stored nor logged, because the next one replaces it."""
        self._bus.publish(
            Event(
                id=0,
                at=self._clock(),
                kind=kind,
                message=message,
                download_id=download_id,
                transfer=transfer,
            )
        )

    def enqueue(self, write: Callable[[], Awaitable[object]]) -> None:
        """Have a write carried out after those that are waiting."""
        self._queue.put_nowait(write)

    async def flush(self) -> None:
        """Return once everything that was enqueued so far is carried out."""
        await self._queue.join()

    async def close(self) -> None:
        """Carry out what is waiting, then stop."""
        await self.flush()
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            write = await self._queue.get()
            try:
                await write()
            except HydraError:
                log.exception("a write to the store failed")
            finally:
                self._queue.task_done()
