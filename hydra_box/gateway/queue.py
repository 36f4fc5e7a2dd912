"""The requests of one service that wait for a slot, and who of them is next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydra_box.gateway.endpoint import Lease, PooledInstance


@dataclass(eq=False, slots=True, kw_only=True)
class Waiter:
    """A request in the queue."""

    lease: asyncio.Future[Lease]
    failed: set[PooledInstance]
    """Instances that already failed at this request."""
    flow: str
    """Whose request it is: those of one flow are served in their order."""
    cost: float
    """Tokens that it is thought to take."""


class Queue:
    """Waiters in their order; those that already failed somewhere stand before all others."""

    def __init__(self) -> None:
        self._waiters: deque[Waiter] = deque()

    def __len__(self) -> int:
        return len(self._waiters)

    def add(self, waiter: Waiter) -> None:
        """Have a request wait."""
        if waiter.failed:
            self._waiters.appendleft(waiter)
        else:
            self._waiters.append(waiter)

    def discard(self, waiter: Waiter) -> None:
        """It does not wait any more; safe to repeat."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def serve(self, lend: Callable[[Waiter], bool]) -> None:
        """Offer what is free to those who wait, in their order, until nobody takes it.

        ``lend`` says whether there was something for that waiter.
        """
        passed_over: list[Waiter] = []
        while self._waiters:
            waiter = self._waiters.popleft()
            if waiter.lease.done() or lend(waiter):
                continue
            passed_over.append(waiter)
            if not waiter.failed:
                break
        self._waiters.extendleft(reversed(passed_over))

    def refuse(self, error: Callable[[], Exception]) -> None:
        """Answer everyone who waits with an error."""
        for waiter in self._waiters:
            if not waiter.lease.done():
                waiter.lease.set_exception(error())
