"""Requests that wait for a slot: until one is free, they waited too long, or are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

from hydra_box.errors import Unavailable
from hydra_box.gateway.endpoint import Endpoint, Lease, PooledInstance, stopping
from hydra_box.gateway.queue import Waiter
from hydra_box.plan.routing import choose

FORGIVE_SECONDS = 1.0
"""An instance that failed at a request and is still in the pool after this may try again."""


class Lender(Protocol):
    """Who has the slots; the pool."""

    def lend(self, instance: PooledInstance) -> Lease:
        """A lease on a slot that is known to be free."""
        ...

    def release(self, lease: Lease) -> None:
        """Take a slot back."""
        ...

    def not_ready(self, endpoint: Endpoint) -> Unavailable:
        """The answer while no instance is ready."""
        ...


async def wait_for_slot(
    lender: Lender, endpoint: Endpoint, waiter: Waiter, longest_seconds: float
) -> Lease:
    """Stand in the queue until there is a slot.

    Raises:
        Unavailable: that took too long, or its place was given to somebody else.
        ModelNotFound: the service is being deleted.

    """
    loop = asyncio.get_running_loop()
    timers = [loop.call_later(longest_seconds, _expire, lender, endpoint, waiter, longest_seconds)]
    if waiter.failed:
        timers.append(loop.call_later(FORGIVE_SECONDS, _forgive, lender, endpoint, waiter))
    endpoint.queue.add(waiter)
    try:
        return await waiter.lease
    except asyncio.CancelledError:
        # The slot may have been lent in the same turn of the loop that ended the wait.
        if not waiter.lease.cancelled() and waiter.lease.exception() is None:
            endpoint.queue.settle(waiter.flow, waiter.charged, 0)
            lender.release(waiter.lease.result())
        raise
    finally:
        for timer in timers:
            timer.cancel()
        endpoint.queue.discard(waiter)


def free_instance(endpoint: Endpoint, failed: Collection[PooledInstance]) -> PooledInstance | None:
    """Who takes a request now; ``failed`` are those that already failed at it."""
    excluded = {one.id for one in failed if endpoint.instances.get(one.id) is one}
    chosen = choose(endpoint.candidates(), excluded)
    return endpoint.instances[chosen.instance_id] if chosen else None


def serve_waiting(lender: Lender, endpoint: Endpoint) -> None:
    """Lend what is free to those who wait."""

    def lend(waiter: Waiter) -> bool:
        instance = free_instance(endpoint, waiter.failed)
        if instance is not None:
            lease = lender.lend(instance)
            lease.charged = waiter.charged
            waiter.lease.set_result(lease)
        return instance is not None

    endpoint.queue.serve(lend)


def make_room(endpoint: Endpoint, flow: str) -> None:
    """Have a full queue take one more request of ``flow``.

    Raises:
        Unavailable: nobody else has to leave for it.

    """
    leaving = endpoint.queue.make_room(flow)
    if leaving is None:
        raise endpoint.full()
    if not leaving.lease.done():
        leaving.lease.set_exception(endpoint.full())
    endpoint.queue.discard(leaving)


def refuse_waiting(endpoint: Endpoint) -> None:
    """Answer every request in the queue."""
    endpoint.queue.refuse(lambda: endpoint.refusal() or stopping())


def _expire(lender: Lender, endpoint: Endpoint, waiter: Waiter, waited_seconds: float) -> None:
    if not waiter.lease.done():
        error = endpoint.full(waited_seconds) if endpoint.slots else lender.not_ready(endpoint)
        waiter.lease.set_exception(error)


def _forgive(lender: Lender, endpoint: Endpoint, waiter: Waiter) -> None:
    waiter.failed.clear()
    serve_waiting(lender, endpoint)
