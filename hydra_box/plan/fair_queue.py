"""Whose turn it is: deficit round robin on tokens (Shreedhar and Varghese, 1996).

Every flow that waits is visited in turn and given one quantum of tokens each time; it may send for
as long as it can pay what its next request is thought to cost. So flows get the same tokens,
however large their requests are, and how many wait.

What a request really took is settled when it ends: a flow that took more owes it, one that took
less has it back, and spends at most one quantum of that beside the new one at a visit. Who stops
waiting keeps no credit; a debt is worked off by the rounds that go by without that flow, and is
forgotten when nobody waits, for then nobody was kept waiting.

Adding, taking and leaving cost the same however many wait, except that a round in which no flow
can pay is followed by as many more as are missing, all in one step over the flows.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

QUANTUM_TOKENS = 256

T = TypeVar("T")


@dataclass(slots=True)
class _Flow(Generic[T]):
    deficit: float = 0.0
    """Tokens that it may send; below zero it owes them."""
    waiting: OrderedDict[T, float] = field(default_factory=OrderedDict)
    """Its requests in their order, and what each is thought to cost."""
    visited: bool = False
    """It has this visit's quantum."""
    sent: float = 0.0
    """In this visit."""
    left_in_round: int = 0
    """When it stopped waiting."""

    @property
    def next(self) -> T:
        return next(iter(self.waiting))

    @property
    def next_cost(self) -> float:
        return self.waiting[self.next]


class FairQueue(Generic[T]):
    """Requests that wait, of several flows.

    Args:
        quantum: tokens that each flow is given at a visit.

    """

    def __init__(self, quantum: float = QUANTUM_TOKENS) -> None:
        self._quantum = quantum
        self._active: OrderedDict[str, _Flow[T]] = OrderedDict()
        """The flows that wait; the first one is visited."""
        self._owing: dict[str, _Flow[T]] = {}
        """Those that do not wait now and are in debt."""
        self._length = 0
        self._round = 0
        self._visits_left = 0
        """Of this round."""

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        """All who wait, flow by flow."""
        for flow in self._active.values():
            yield from flow.waiting

    def add(self, flow: str, item: T, cost: float) -> None:
        """Have a request wait behind the others of its flow.

        Args:
            flow: whose it is.
            item: the request; it waits once only.
            cost: tokens that it is thought to take, more than none.

        """
        active = self._active.get(flow)
        if active is None:
            active = self._active[flow] = self._return(flow)
        active.waiting[item] = cost
        self._length += 1

    def discard(self, flow: str, item: T) -> None:
        """It does not wait any more, and costs nothing; safe to repeat."""
        active = self._active.get(flow)
        if active is not None and active.waiting.pop(item, None) is not None:
            self._length -= 1
            self._rest_if_empty(flow, active)

    def peek(self) -> tuple[str, T] | None:
        """The flow and the request whose turn it is; None when nobody waits."""
        visits = 0
        while self._active:
            name, flow = next(iter(self._active.items()))
            if not flow.visited:
                flow.visited, flow.sent = True, 0.0
                flow.deficit += self._quantum
            if flow.deficit >= flow.next_cost and flow.sent < 2 * self._quantum:
                return name, flow.next
            self._go_on(name, flow)
            visits += 1
            if visits == len(self._active):
                self._skip_rounds()
                visits = 0
        return None

    def take(self) -> T:
        """The request whose turn it is, which is charged what it is thought to cost.

        Raises:
            IndexError: nobody waits.

        """
        turn = self.peek()
        if turn is None:
            raise IndexError("nobody waits")
        name, item = turn
        flow = self._active[name]
        cost = flow.waiting.pop(item)
        flow.deficit -= cost
        flow.sent += cost
        self._length -= 1
        self._rest_if_empty(name, flow)
        return item

    def settle(self, flow: str, expected: float, actual: float) -> None:
        """A request that was taken has ended.

        Args:
            flow: whose it was.
            expected: what it was charged.
            actual: the tokens that it took.

        """
        more = actual - expected
        if (active := self._active.get(flow)) is not None:
            active.deficit -= more
        elif self._active:
            debt = self._debt_of(flow) + more
            self._owing.pop(flow, None)
            if debt > 0:
                self._owing[flow] = _Flow(deficit=-debt, left_in_round=self._round)

    def waiting_of(self, flow: str) -> int:
        """Requests of one flow that wait."""
        active = self._active.get(flow)
        return 0 if active is None else len(active.waiting)

    def longest(self) -> tuple[str, T] | None:
        """The flow of which most wait, and its last request; None when nobody waits."""
        if not self._active:
            return None
        name, flow = max(self._active.items(), key=lambda one: len(one[1].waiting))
        return name, next(reversed(flow.waiting))

    def _return(self, name: str) -> _Flow[T]:
        debt = self._debt_of(name)
        self._owing.pop(name, None)
        return _Flow(deficit=-debt)

    def _debt_of(self, name: str) -> float:
        """What is left of it after the rounds that went by."""
        flow = self._owing.get(name)
        if flow is None:
            return 0.0
        return max(0.0, -flow.deficit - (self._round - flow.left_in_round) * self._quantum)

    def _rest_if_empty(self, name: str, flow: _Flow[T]) -> None:
        if flow.waiting:
            return
        del self._active[name]
        self._count_visit()
        if not self._active:
            self._owing.clear()
        elif flow.deficit < 0:
            flow.left_in_round = self._round
            self._owing[name] = flow

    def _go_on(self, name: str, flow: _Flow[T]) -> None:
        flow.visited = False
        self._active.move_to_end(name)
        self._count_visit()

    def _count_visit(self) -> None:
        self._visits_left -= 1
        if self._visits_left <= 0:
            self._round += 1
            self._visits_left = len(self._active)

    def _skip_rounds(self) -> None:
        """Go on to just before the round in which the first of the flows can pay."""
        missing = min(one.next_cost - one.deficit for one in self._active.values())
        rounds = math.ceil(missing / self._quantum) - 1
        if rounds > 0:
            self._round += rounds
            for flow in self._active.values():
                flow.deficit += rounds * self._quantum
