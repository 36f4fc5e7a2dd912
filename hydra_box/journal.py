"""Writes behind the work: what happened goes to the store in order, off everyone's path.

A store that cannot be written (its disk is full, another program has locked it) loses nothing of
it: writes wait here, in memory and bounded, and are tried again until there is room.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from hydra_box.errors import DiskFull, HydraError, StateError
from hydra_box.events import EventBus
from hydra_box.store import Store
from hydra_box.types import Event, Service, Severity, Transfer

log = logging.getLogger(__name__)

_LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
}


RETRY_SECONDS = 5.0
"""After a write that the store refused."""

KEPT_EVENTS = 10_000
"""Events that wait for the store; of more, the oldest are lost, and told of in the log only."""

ALARM = "database.unwritable"


class AlarmBell(Protocol):
    """Tells a person that something is wrong, until it is not: ``Alarms``."""

    def raise_(
        self, id: str, message: str, hint: str | None = None, severity: Severity = ...
    ) -> None:
        """Something is wrong."""

    def clear(self, id: str) -> None:
        """It is over."""


class Record(Protocol):
    """Notes that something happened: ``Journal.record``, for rooms that know of no service."""

    def __call__(self, kind: str, message: str, *, severity: Severity = Severity.INFO) -> None:
        """Store it, publish it and log it."""


class _Write(NamedTuple):
    carry_out: Callable[[], Awaitable[object]]
    is_event: bool


class Journal:
    """Events and other late writes, carried out one after another by one task."""

    def __init__(
        self, store: Store, bus: EventBus, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._waiting: deque[_Write] = deque()
        self._news = asyncio.Event()
        self._settled = asyncio.Event()
        """Set while nothing waits, or what waits was refused by the store."""
        self._settled.set()
        self._refusal = ""
        """What the store said to the last write, if it refused it."""
        self._lost = 0
        """Events that were more than can wait."""
        self._closing = asyncio.Event()
        self._bell: AlarmBell | None = None
        self._task = asyncio.get_running_loop().create_task(self._run(), name="journal")

    def use_alarms(self, bell: AlarmBell) -> None:
        """Ring it while the store refuses writes."""
        self._bell = bell

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

        self._put(_Write(store_and_publish, is_event=True))

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
        self._put(_Write(write, is_event=False))

    async def flush(self) -> None:
        """Return once everything that was enqueued so far is carried out, or the store refuses."""
        await self._settled.wait()

    async def close(self) -> None:
        """Carry out what is waiting, then stop; what the store refuses now is lost, and logged."""
        self._closing.set()
        self._news.set()
        await self._task

    def _put(self, write: _Write) -> None:
        self._waiting.append(write)
        if not self._refusal:
            self._settled.clear()
        elif len(self._waiting) > KEPT_EVENTS:
            self._lose_one()
        self._news.set()

    def _lose_one(self) -> None:
        """Forget the oldest event that waits; other writes are few, and none can be spared."""
        oldest = next((at for at, one in enumerate(self._waiting) if one.is_event), None)
        if oldest is not None:
            del self._waiting[oldest]
            self._lost += 1

    async def _run(self) -> None:
        while self._waiting or not self._closing.is_set():
            if not self._waiting:
                self._settled.set()
                self._news.clear()
                await self._news.wait()
                continue
            write = self._waiting.popleft()
            try:
                await write.carry_out()
            except (StateError, DiskFull) as error:
                self._waiting.appendleft(write)
                await self._refused(error)
                continue
            except Exception:
                # Whatever it is: without this task nothing would be stored any more.
                log.exception("a write to the store failed")
            self._accepted()
        self._settled.set()

    async def _refused(self, error: HydraError) -> None:
        """Wait before the same write is tried again."""
        if self._closing.is_set():
            log.error(
                "%d events and changes could not be stored, and are lost: %s",
                *(len(self._waiting), error.message),
            )
            self._waiting.clear()
            return
        if not self._refusal:
            log.error("writes wait until they can be stored: %s", error.message)
        self._refusal = error.message
        self._settled.set()
        if self._bell is not None:
            self._bell.raise_(
                *(ALARM, f"changes wait in memory until they can be stored: {error.message}"),
                *(error.hint, Severity.ERROR),
            )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETRY_SECONDS):
                await self._closing.wait()

    def _accepted(self) -> None:
        if not self._refusal:
            return
        log.info("changes are stored again; %d were waiting", len(self._waiting) + 1)
        if self._lost:
            log.error("%d events could not be kept until then, and are lost", self._lost)
        self._refusal, self._lost = "", 0
        self._settled.clear()
        if self._bell is not None:
            self._bell.clear(ALARM)
