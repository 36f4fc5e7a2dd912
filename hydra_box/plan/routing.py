"""Which instance takes a request."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hydra_box.types import Frozen


class Candidate(Frozen, frozen=True, kw_only=True):
    """A ready instance or upstream, as routing sees it."""

    instance_id: str
    slots: int
    in_flight: int
    is_upstream: bool = False
    weight: float = 1.0
    """Of an upstream: its share beside the others."""
    served: float = 0.0
    """Requests that it was given, or would have been had it been there from the beginning."""


def choose(candidates: Iterable[Candidate], excluded: Collection[str] = ()) -> Candidate | None:
    """The candidate that takes a request, among those with a free slot.

    1. An instance here, while one has a slot: that with the least in flight. An upstream costs
       money, so it is for what does not fit here.
    2. The upstream that is furthest behind its share: of many requests each gets what its weight
       says, whether they come at once or one after another.

    Equal ones are taken by id, so that the same question has the same answer. ``excluded`` are
    the instances that have already failed at this request. None: every slot is busy.
    """
    free = [
        one for one in candidates if one.in_flight < one.slots and one.instance_id not in excluded
    ]
    return min(free, key=_order, default=None)


def caught_up(weight: float, others: Iterable[Candidate]) -> float:
    """The ``served`` of an upstream that joins others: it gets its share from now on.

    Without it, one that was away would be given every request until it had made up for that.
    """
    behind = [one.served / one.weight for one in others if one.is_upstream]
    return min(behind, default=0.0) * weight


def _order(one: Candidate) -> tuple[bool, float, str]:
    if one.is_upstream:
        return True, (one.served + 1) / one.weight, one.instance_id
    return False, one.in_flight / one.slots, one.instance_id
