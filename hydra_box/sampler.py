"""The machine, looked at again and again: about once a second while somebody watches."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from pathlib import Path

from hydra_box.hardware import Probe
from hydra_box.hardware.patience import LOOK_TIMEOUT_SECONDS, all_lost, in_a_thread
from hydra_box.types import Machine

log = logging.getLogger(__name__)

IDLE_FACTOR = 5
"""Unwatched, a sample is taken so many times less often: for GPUs that get lost, and back."""

QUEUE_LENGTH = 4


class Sampler:
    """The last sample for whoever asks, each new one for whoever watches.

    Args:
        disk_path: a path on the disk to measure.
        seconds: between two samples while somebody watches.
        timeout_seconds: how long a look may take before its GPUs count as lost.

    """

    def __init__(
        self,
        disk_path: Path,
        *,
        seconds: float = 1.0,
        timeout_seconds: float = LOOK_TIMEOUT_SECONDS,
    ) -> None:
        self._probe = Probe(disk_path)
        self._seconds = seconds
        self._timeout_seconds = timeout_seconds
        self._latest: Machine | None = None
        self._under_way: Future[Machine] | None = None
        self._one_look_at_a_time = asyncio.Lock()
        self._watchers: set[asyncio.Queue[Machine]] = set()
        self._newcomer = asyncio.Event()
        self._told: list[Callable[[Machine], None]] = []

    def tell(self, told: Callable[[Machine], None]) -> None:
        """Have somebody be told of every look; that alone does not make them more frequent."""
        self._told.append(told)

    async def run(self) -> None:
        """Take samples until cancelled."""
        try:
            while True:
                started = time.monotonic()
                try:
                    await self.fresh()
                except OSError:
                    log.exception("the machine could not be looked at")
                await self._pause(started)
        finally:
            if self._under_way is None or self._under_way.done():
                self._probe.close()

    def latest(self) -> Machine:
        """The last sample, at most ``IDLE_FACTOR`` periods old; before the first, it blocks."""
        if self._latest is None:
            self._under_way = self._under_way or in_a_thread(self._probe.look)
            try:
                self._latest = self._under_way.result(self._timeout_seconds)
            except TimeoutError:
                self._latest = self._without_gpus()
        return self._latest

    async def fresh(self) -> Machine:
        """A new look now.

        When the driver hangs, the answer comes all the same, with every GPU lost.
        """
        async with self._one_look_at_a_time:
            self._latest = machine = await self._look()
        for told in self._told:
            told(machine)
        for queue in self._watchers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(machine)
        return machine

    async def subscribe(self) -> AsyncGenerator[Machine, None]:
        """Every sample from now on; a reader that is slow loses the oldest. Close it at the end."""
        queue: asyncio.Queue[Machine] = asyncio.Queue(QUEUE_LENGTH)
        self._watchers.add(queue)
        self._newcomer.set()
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers.discard(queue)

    async def _look(self) -> Machine:
        if self._under_way is None or self._under_way.done():
            self._under_way = in_a_thread(self._probe.look)
            look = asyncio.wrap_future(self._under_way)
            done, _ = await asyncio.wait((look,), timeout=self._timeout_seconds)
            if done:
                return look.result()
        return self._without_gpus()

    def _without_gpus(self) -> Machine:
        return self._probe.with_gpus(all_lost(self._latest, self._timeout_seconds))

    async def _pause(self, started: float) -> None:
        """Until the next sample is due; who comes to watch is served at once."""
        period = self._seconds if self._watchers else self._seconds * IDLE_FACTOR
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, started + period - time.monotonic())):
                await self._newcomer.wait()
        self._newcomer.clear()
