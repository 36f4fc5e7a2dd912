"""The services from second to second, looked at once for everyone who watches."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass

import msgspec

from hydra_box.alarms import Alarms
from hydra_box.engines.runtimes import RuntimeManager
from hydra_box.events import EventBus
from hydra_box.messages import Attention, ServicesUpdate, ServiceView
from hydra_box.services import ServiceManager
from hydra_box.status import needs_attention
from hydra_box.usage import UsageBooks

PERIOD_SECONDS = 1.0
SHORTEST_PERIOD_SECONDS = 0.1
"""However many events there are."""

_NOTHING_YET = -1


@dataclass(frozen=True, slots=True)
class _Seen:
    """A service at the last look."""

    view: ServiceView
    timeless: ServiceView
    """Without what changes by itself."""
    since: int
    """The look that found it so first."""


class LiveServices:
    """Tells every reader what it does not know yet: every second, and when something happens.

    Nothing is looked at while there is no reader. A reader that is slow misses what lies between.
    """

    def __init__(
        self,
        *,
        services: ServiceManager,
        alarms: Alarms,
        runtimes: RuntimeManager,
        events: EventBus,
        books: UsageBooks,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._services = services
        self._alarms = alarms
        self._runtimes = runtimes
        self._events = events
        self._books = books
        self._clock = clock
        self._looks = 0
        self._seen: dict[str, _Seen] = {}
        self._attention: tuple[Attention, ...] = ()
        self._attention_since = 0
        self._readers = 0
        self._looking: asyncio.Task[None] | None = None
        self._next: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def subscribe(self) -> AsyncGenerator[ServicesUpdate, None]:
        """Everything, then what has changed since the last update. Close it at the end."""
        self._readers += 1
        try:
            if self._looking is None:
                self._look()
                self._looking = asyncio.create_task(self._look_forever(), name="live services")
            told, known = _NOTHING_YET, self._seen
            while True:
                update = self._update(told, known)
                told, known = self._looks, self._seen
                yield update
                while told == self._looks:
                    # Others wait for it too, when this reader leaves.
                    await asyncio.shield(self._next)
        finally:
            self._readers -= 1
            if not self._readers and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    def _update(self, told: int, known: Mapping[str, _Seen]) -> ServicesUpdate:
        return ServicesUpdate(
            at=self._clock(),
            changed=tuple(one.view for one in self._seen.values() if one.since > told),
            removed=tuple(id for id in known if id not in self._seen),
            attention=self._attention if self._attention_since > told else None,
        )

    async def _look_forever(self) -> None:
        woken = asyncio.Event()
        listening = asyncio.create_task(_wake(self._events, woken))
        try:
            while True:
                await asyncio.sleep(SHORTEST_PERIOD_SECONDS)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PERIOD_SECONDS - SHORTEST_PERIOD_SECONDS):
                        await woken.wait()
                woken.clear()
                self._look()
                self._tell(None)
        except Exception as error:  # noqa: BLE001 - every reader raises it
            self._looking = None
            self._tell(error)
        finally:
            listening.cancel()

    def _look(self) -> None:
        self._looks += 1
        views = self._services.list()
        self._seen = {view.id: self._compare(view) for view in views}
        attention = needs_attention(
            self._alarms.list(), self._runtimes.list(), views, self._books.trouble()
        )
        if attention != self._attention:
            self._attention, self._attention_since = attention, self._looks

    def _compare(self, view: ServiceView) -> _Seen:
        timeless, before = _timeless(view), self._seen.get(view.id)
        if before is not None and before.timeless == timeless:
            return _Seen(view, timeless, before.since)
        return _Seen(view, timeless, self._looks)

    def _tell(self, error: Exception | None) -> None:
        """Have the readers go on, or end with what went wrong."""
        told, self._next = self._next, asyncio.get_running_loop().create_future()
        if error is None:
            told.set_result(None)
        else:
            told.set_exception(error)


async def _wake(events: EventBus, woken: asyncio.Event) -> None:
    with events.subscribe() as published:
        async for _ in published:
            woken.set()


def _timeless(view: ServiceView) -> ServiceView:
    instances = tuple(msgspec.structs.replace(one, uptime_seconds=None) for one in view.instances)
    return msgspec.structs.replace(view, instances=instances)
