"""Requests that the store does not have yet: in memory, up to a number, and beyond it elsewhere.

A store that cannot be written for days must not fill the memory. What is in the journal on the
disk is forgotten here but for its sums, and read again from there; what is nowhere else, because
the journal cannot be written either, is kept as its sums, so that no token is missing in the books.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hydra_box.plan.usage import UsedSpan, minutes_of, plus
from hydra_box.types import RequestRecord

KEPT_REQUESTS = 20_000
"""Single requests in memory: about 20 MB."""


class OnDisk(NamedTuple):
    """Requests that are in the journal alone."""

    segments: tuple[int, ...]
    spans: Sequence[UsedSpan]
    """What they used, for the reports until they are stored."""


class Backlog:
    """What waits for the store; all of it counts in the reports."""

    def __init__(self) -> None:
        self.requests: list[RequestRecord] = []
        self.on_disk: list[OnDisk] = []
        self.sums: list[UsedSpan] = []
        """Of requests of which nothing else is left."""
        self._nowhere_else: set[str] = set()
        """Ids of those that the journal does not have."""

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self.requests or self.on_disk or self.sums)

    def __len__(self) -> int:
        """How many requests wait."""
        spans = (*self.sums, *(span for one in self.on_disk for span in one.spans))
        return len(self.requests) + sum(one.requests for one in spans)

    def add(self, request: RequestRecord, *, journaled: bool) -> None:
        """One more."""
        self.requests.append(request)
        if not journaled:
            self._nowhere_else.add(request.id)

    def take(self) -> list[RequestRecord]:
        """Those in memory, to be stored now."""
        taken, self.requests = self.requests, []
        return taken

    def put_back(self, requests: list[RequestRecord]) -> None:
        """They could not be stored; nothing of them is lost."""
        self.requests = requests + self.requests

    def stored(self, requests: Iterable[RequestRecord]) -> None:
        """The store has them."""
        if self._nowhere_else:
            self._nowhere_else.difference_update(one.id for one in requests)

    def journaled(self, request: RequestRecord) -> None:
        """The journal has it now."""
        self._nowhere_else.discard(request.id)

    def in_memory_only(self) -> list[RequestRecord]:
        """Those that the journal does not have."""
        if not self._nowhere_else:
            return []
        return [one for one in self.requests if one.id in self._nowhere_else]

    def shrink(self, sealed: Iterable[int]) -> int:
        """Keep sums in the place of requests.

        Args:
            sealed: the segments that the journal has sealed, with all that it has.

        Returns:
            How many of them are in no place as single requests any more.

        """
        known = {number for one in self.on_disk for number in one.segments}
        segments = tuple(number for number in sealed if number not in known)
        alone = self.in_memory_only()
        if on_disk := [one for one in self.take() if one.id not in self._nowhere_else]:
            self.on_disk.append(OnDisk(segments, minutes_of(on_disk)))
        self.sums = _added_up((*self.sums, *minutes_of(alone)))
        self._nowhere_else.clear()
        return len(alone)

    def spans(self) -> list[UsedSpan]:
        """What all of it used, by the minute."""
        on_disk = (span for one in self.on_disk for span in one.spans)
        return [*minutes_of(self.requests), *on_disk, *self.sums]


def _added_up(spans: Iterable[UsedSpan]) -> list[UsedSpan]:
    rows: dict[tuple[int, str, str], UsedSpan] = {}
    for one in spans:
        key = (one.start, one.key_id, one.service_id)
        rows[key] = plus(one, rows[key]) if key in rows else one
    return list(rows.values())
