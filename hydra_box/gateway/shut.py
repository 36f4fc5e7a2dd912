"""Keys that are revoked or disabled while requests of theirs are under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hydra_box.errors import Unauthenticated
from hydra_box.gateway.interrupt import Interrupt, Interrupted
from hydra_box.keys import KeyRing


class _Guarded:
    """One request under way."""

    __slots__ = ("block", "reason")

    def __init__(self) -> None:
        self.block = Interrupt()
        self.reason: str | None = None

    def end(self, reason: str) -> None:
        """Its key opens nothing any more."""
        self.reason = reason
        self.block.fire()


class ShutKeys:
    """Requests under way by their keys; ends them when their key is shut."""

    def __init__(self, keys: KeyRing) -> None:
        self._under_way: dict[str, set[_Guarded]] = {}
        keys.on_shut(self._shut)

    @contextmanager
    def guard(self, key_id: str | None) -> Iterator[None]:
        """A block that ends where it is when the key is shut; without a key, never.

        Raises:
            Unauthenticated: the key was shut; its text says how.

        """
        if key_id is None:
            yield
            return
        guarded = _Guarded()
        self._under_way.setdefault(key_id, set()).add(guarded)
        try:
            with guarded.block:
                yield
        except Interrupted as error:
            # The client may have left in the same turn of the loop: then nobody reads this.
            if guarded.reason is None:
                raise
            raise Unauthenticated(guarded.reason, hint="use another key") from error
        finally:
            remaining = self._under_way[key_id]
            remaining.discard(guarded)
            if not remaining:
                del self._under_way[key_id]

    def _shut(self, key_id: str, reason: str) -> None:
        for one in tuple(self._under_way.get(key_id, ())):
            one.end(reason)
