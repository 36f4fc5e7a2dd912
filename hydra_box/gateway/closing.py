"""Instances that are gone: what they had sent is still read, then their channels are closed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from hydra_box.gateway.endpoint import Lease, PooledInstance

LAST_BYTES_SECONDS = 2.0
"""What a gone instance had sent may still be read for so long; then its requests fail over."""


class Closing:
    """The closing of instances, which goes on while others come."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, instance: PooledInstance) -> asyncio.Task[None]:
        """Close an instance that takes no request any more, once it has none."""
        task = asyncio.create_task(_close(instance))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def wait(self) -> None:
        """Until all that were begun are closed."""
        if self._tasks:
            await asyncio.wait(self._tasks)


def lose(leases: Iterable[Lease]) -> None:
    """Have the requests of an instance that is gone fail over now."""
    for lease in list(leases):
        if lease.on_lost is not None:
            lease.on_lost()


async def _close(instance: PooledInstance) -> None:
    # Its process is dead, so that every connection ends by itself once it is read to the end.
    try:
        async with asyncio.timeout(LAST_BYTES_SECONDS):
            await instance.idle.wait()
    except TimeoutError:
        lose(instance.leases)
        await instance.idle.wait()
    await instance.channel.close()
