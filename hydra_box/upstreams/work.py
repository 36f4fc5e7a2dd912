"""Upstreams at work: in the gateway's pool, beside instances, and asked for their health."""

from __future__ import annotations

import asyncio
import logging

from hydra_box.gateway.pool import Pool
from hydra_box.types import EngineName
from hydra_box.upstreams.watch import Watch

log = logging.getLogger(__name__)


class AtWork:
    """Those that take requests, or will when they are healthy.

    Args:
        pool: where they stand.
        drain_seconds: how long requests under way may take when one leaves.

    """

    def __init__(self, pool: Pool, drain_seconds: float) -> None:
        self._pool = pool
        self._drain_seconds = drain_seconds
        self._here: dict[str, Watch] = {}
        self._probing: dict[str, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def in_flight(self, watch: Watch) -> int:
        """Requests that an upstream is working on."""
        return self._pool.in_flight(watch.upstream.id)

    def join(self, watch: Watch) -> None:
        """An upstream of a service that the pool has; to repeat it changes nothing."""
        row = watch.upstream
        if row.id in self._here:
            return
        self._here[row.id] = watch
        self._pool.add_instance(
            row.service_id,
            row.id,
            watch.channel,
            row.most_requests,
            engine=EngineName.UPSTREAM,
            weight=row.weight,
        )
        self.look(watch)

    def look(self, watch: Watch) -> None:
        """Its health is another one."""
        resting = not watch.health.takes_requests
        self._pool.rest_instance(watch.upstream.id, resting=resting)

    def tune(self, watch: Watch) -> None:
        """It may be given more or less."""
        row = watch.upstream
        self._pool.tune_instance(row.id, slots=row.most_requests, weight=row.weight)

    def probe(self, watch: Watch, *, wanted: bool) -> None:
        """Whether it is asked for its health again and again."""
        id = watch.upstream.id
        if wanted and id not in self._probing:
            task = asyncio.create_task(watch.run(), name=f"the probing of {id}")
            task.add_done_callback(_tell_failure)
            self._probing[id] = task
        elif not wanted and (ended := self._probing.pop(id, None)):
            ended.cancel()

    def leave(self, watch: Watch) -> None:
        """It takes no new request, and goes when those under way are over or had their time."""
        self.probe(watch, wanted=False)
        self._pool.drain_instance(watch.upstream.id)
        task = asyncio.create_task(self._leave(watch), name=f"the leaving of {watch.upstream.id}")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        task.add_done_callback(_tell_failure)

    def close(self) -> None:
        """Ask nobody any more; the pool closes what it has."""
        for task in (*self._probing.values(), *self._leaving):
            task.cancel()
        self._probing.clear()

    async def _leave(self, watch: Watch) -> None:
        id = watch.upstream.id
        if self._here.pop(id, None) is None:
            await watch.channel.close()
            return
        try:
            async with asyncio.timeout(self._drain_seconds):
                await self._pool.wait_idle(id)
        except TimeoutError:
            log.warning("requests at the upstream %s are cut off: it is removed", id)
        await self._pool.remove_instance(id)


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("%s broke", task.get_name(), exc_info=error)
