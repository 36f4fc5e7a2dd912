"""How many requests a key may have under way, so that one client cannot take the whole queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from hydra_box.errors import RateLimited
from hydra_box.gateway.access import Caller

RETRY_AFTER_SECONDS = 1


class KeyLimit:
    """Counts the requests of each key, running or waiting; the box's owner has no limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def hold(self, caller: Caller) -> Iterator[None]:
        """Count one request for as long as the block runs.

        Raises:
            RateLimited: the key has as many as it may.

        """
        if caller.key_id is None:
            yield
            return
        if self._under_way[caller.key_id] >= self._limit:
            raise RateLimited(
                f"the key {caller.name!r} has {self._limit} requests under way, as many as it may",
                hint="send the next one when one has ended; key_concurrency_limit sets the number",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
        self._under_way[caller.key_id] += 1
        try:
            yield
        finally:
            self._under_way[caller.key_id] -= 1
            if not self._under_way[caller.key_id]:
                del self._under_way[caller.key_id]
