"""Keeps the state as the box is: the one writer of ``BoxState``, fed by the box's streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from hydra_box.client import Client
from hydra_box.errors import DaemonUnreachable, HydraError
from hydra_box.messages import ServicesUpdate
from hydra_box.types import Event, Machine
from tui.link import Link
from tui.state import BoxState

RETRY_SECONDS = 1.0
"""Between two tries to reach a box that does not answer."""

HEARTBEAT_SECONDS = 0.8
"""Updates that come sooner than this after one are no heartbeat: those come every second."""

T = TypeVar("T")


class Listener(Protocol):
    """Who is told that the state has changed."""

    def tell_link(self) -> None:
        """The box answers again, or no longer."""

    def tell_services(self, update: ServicesUpdate) -> None:
        """Services or attention changed, or a second has passed."""

    def tell_machine(self, machine: Machine) -> None:
        """The machine was looked at."""

    def tell_runtimes(self) -> None:
        """A runtime came, went, was tried or pinned."""

    def tell_event(self, event: Event) -> None:
        """Something happened."""


class Feed:
    """Connects, follows, and connects again, until it is cancelled."""

    def __init__(
        self,
        link: Link,
        state: BoxState,
        listener: Listener,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._link = link
        self._state = state
        self._listener = listener
        self._clock = clock
        self._last_tick = 0.0
        self._runtimes_changed = asyncio.Event()

    async def run(self) -> None:
        """Never returns."""
        while True:
            try:
                await self._follow()
            except* HydraError as group:
                self._lost(_first(group))
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        """Until a stream breaks or ends."""
        events = await self._link.call(lambda box: box.recent_events())
        # What happens while the rest is read is told after the last of these, so nothing is missed.
        last = events[-1].id if events else 0
        runtimes = await self._link.call(lambda box: box.engines())
        status = await self._link.call(lambda box: box.status())
        self._state.connected(status)
        self._state.runtimes = runtimes
        self._state.events.clear()
        self._state.events.extend(events)
        self._listener.tell_link()
        async with asyncio.TaskGroup() as streams:
            streams.create_task(self._each(lambda box: box.services_live(), self._take_services))
            streams.create_task(self._each(lambda box: box.machine_live(), self._take_machine))
            streams.create_task(self._each(lambda box: box.events(after=last), self._take_event))
            streams.create_task(self._keep_runtimes())

    async def _each(self, ask: Callable[[Client], Iterator[T]], take: Callable[[T], None]) -> None:
        async with self._link.stream(ask) as items:
            async for item in items:
                take(item)
        raise DaemonUnreachable("the daemon has stopped", hint="start one with: hydra-box serve")

    async def _keep_runtimes(self) -> None:
        while True:
            await self._runtimes_changed.wait()
            self._runtimes_changed.clear()
            self._state.runtimes = await self._link.call(lambda box: box.engines())
            self._listener.tell_runtimes()

    def _take_services(self, update: ServicesUpdate) -> None:
        self._state.apply(update)
        # Updates between two heartbeats must not make a sparkline run faster, and a clock that is
        # set back must not stop it.
        if not 0.0 <= update.at - self._last_tick < HEARTBEAT_SECONDS:
            self._last_tick = update.at
            self._state.tick()
        self._listener.tell_services(update)

    def _take_machine(self, machine: Machine) -> None:
        self._state.machine = machine
        self._listener.tell_machine(machine)

    def _take_event(self, event: Event) -> None:
        # Progress is told to whoever shows it now, and is nothing to look back at.
        if event.id:
            self._state.events.append(event)
        if event.kind.startswith("engine."):
            self._runtimes_changed.set()
        self._listener.tell_event(event)

    def _lost(self, because: HydraError) -> None:
        self._state.lost(self._clock(), because)
        self._listener.tell_link()


def _first(group: BaseExceptionGroup[HydraError]) -> HydraError:
    """The error that tells most: a group may have several of one cause."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, HydraError)  # noqa: S101 - except* has seen to it
    return error
