"""Which instance takes a request."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hydra_box.types import Frozen


class Candidate(Frozen, frozen=True, kw_only=True):
    """A ready instance, as routing sees it."""

    instance_id: str
    slots: int
    in_flight: int


def choose(candidates: Iterable[Candidate], excluded: Collection[str] = ()) -> Candidate | None:
    """The candidate with the least in flight among those with a free slot.

    Equal ones are taken by id, so that the same question has the same answer. ``excluded`` are
    the instances that have already failed at this request. None: every slot is busy.
    """
    free = [
        one for one in candidates if one.in_flight < one.slots and one.instance_id not in excluded
    ]
    return min(free, key=lambda one: (one.in_flight / one.slots, one.instance_id), default=None)
