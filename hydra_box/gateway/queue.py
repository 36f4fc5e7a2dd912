"""The requests of one service that wait for a slot, and who of them is next."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra_box.plan.fair_queue import FairQueue

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
    charged: float = 0.0
    """Tokens that its flow was charged when its turn came."""


class Queue:
    """Those that already failed somewhere; behind them all others, fairly across their flows."""

    def __init__(self) -> None:
        self._again: OrderedDict[Waiter, None] = OrderedDict()
        self._fair: FairQueue[Waiter] = FairQueue()

    def __len__(self) -> int:
        return len(self._again) + len(self._fair)

    def add(self, waiter: Waiter) -> None:
        """Have a request wait."""
        if waiter.failed:
            self._again[waiter] = None
        else:
            self._fair.add(waiter.flow, waiter, waiter.cost)

    def discard(self, waiter: Waiter) -> None:
        """It does not wait any more; safe to repeat."""
        self._again.pop(waiter, None)
        self._fair.discard(waiter.flow, waiter)

    def settle(self, flow: str, charged: float, tokens: float) -> None:
        """A request whose flow was charged has ended, and took so many tokens."""
        if charged:
            self._fair.settle(flow, charged, tokens)

    def make_room(self, flow: str) -> Waiter | None:
        """Who has to leave a full queue for one more of ``flow``; None: that one itself.

        It is the last of the flow that has most waiting, so that one that fills the queue shuts out
        nobody but itself.
        """
        longest = self._fair.longest()
        if longest is None:
            return None
        crowd, last = longest
        return last if self._fair.waiting_of(crowd) > self._fair.waiting_of(flow) + 1 else None

    def serve(self, lend: Callable[[Waiter], bool]) -> None:
        """Offer what is free to those who wait, in their order, until nobody takes it.

        ``lend`` says whether there was something for that waiter.
        """
        for waiter in list(self._again):
            if waiter.lease.done() or lend(waiter):
                del self._again[waiter]
        while (turn := self._fair.peek()) is not None:
            flow, waiter = turn
            if waiter.lease.done():
                self._fair.discard(flow, waiter)
                continue
            waiter.charged = waiter.cost
            if not lend(waiter):
                waiter.charged = 0.0
                return
            self._fair.take()

    def refuse(self, error: Callable[[], Exception]) -> None:
        """Answer everyone who waits with an error."""
        for waiter in (*self._again, *self._fair):
            if not waiter.lease.done():
                waiter.lease.set_exception(error())
