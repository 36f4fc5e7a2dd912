"""What each key takes just now, so that one client cannot take the whole box."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from hydra_box.gateway.access import Caller
from hydra_box.plan.admission import KeyLoad, admit, charge, finish
from hydra_box.types import KeyLimits

_NOTHING = KeyLoad()


class KeyLimit:
    """Each key's load, running or waiting; the box's owner has no limit.

    Args:
        most_under_way: requests that a key may have under way, also where its own limit is higher.
        clock: seconds that never go back.

    """

    def __init__(self, most_under_way: int, clock: Callable[[], float]) -> None:
        self._most_under_way = most_under_way
        self._clock = clock
        self._loads: dict[str, KeyLoad] = {}

    @contextmanager
    def hold(self, caller: Caller) -> Iterator[None]:
        """Count one request for as long as the block runs.

        Raises:
            RateLimited: the key is at one of its limits.

        """
        if caller.key_id is None:
            yield
            return
        id, limits = caller.key_id, self._limits(caller)
        self._put(id, admit(caller.name, self._load(id), limits, self._clock()))
        try:
            yield
        finally:
            self._put(id, finish(self._load(id)))

    def charge(self, caller: Caller, tokens: int) -> None:
        """Take an answer's tokens from what the key has this minute."""
        if caller.key_id is not None:
            load = self._load(caller.key_id)
            self._put(caller.key_id, charge(load, self._limits(caller), tokens, self._clock()))

    def _limits(self, caller: Caller) -> KeyLimits:
        own = caller.limits.concurrent_requests or self._most_under_way
        under_way = min(own, self._most_under_way)
        return msgspec.structs.replace(caller.limits, concurrent_requests=under_way)

    def _load(self, key_id: str) -> KeyLoad:
        return self._loads.get(key_id, _NOTHING)

    def _put(self, key_id: str, load: KeyLoad) -> None:
        if load == _NOTHING:
            self._loads.pop(key_id, None)
        else:
            self._loads[key_id] = load
