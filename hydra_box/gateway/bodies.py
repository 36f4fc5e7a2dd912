"""How many bytes of request bodies the box holds at once, whoever sends them.

A body counts as far as it has come, so that who announces much and sends little takes no room from
others. It counts until nobody else will be asked with it: until its answer has begun, or is whole.
"""

from __future__ import annotations

from hydra_box.errors import PayloadTooLarge, Unavailable

UNCOUNTED_BYTES = 64 * 1024
"""A body of no more is always taken. Every connection may have as much on its way, so that
``connection_limit`` bounds them all."""

RETRY_AFTER_SECONDS = 5


class Bodies:
    """All bodies that are held.

    Args:
        limit_bytes: the most that they may have together.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0

    def check(self, size_bytes: int, held_bytes: int = 0) -> None:
        """Whether a body of that size, of which some is held already, has room now.

        Raises:
            PayloadTooLarge: it never has.
            Unavailable: the others take too much.
        """
        if size_bytes <= UNCOUNTED_BYTES:
            return
        if size_bytes > self.limit_bytes:
            raise PayloadTooLarge(
                f"the body has {size_bytes:,} bytes; all that the box holds at once may have "
                f"{self.limit_bytes:,}",
                hint="the setting body_memory_bytes raises it",
            )
        if self.held_bytes - held_bytes + size_bytes > self.limit_bytes:
            raise Unavailable(
                f"the bodies of requests under way have {self.held_bytes:,} bytes, this one has "
                f"{size_bytes:,}, and together they may have {self.limit_bytes:,}",
                hint="try again when some are answered; the setting body_memory_bytes raises it",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )


class HeldBody:
    """One body, held for no longer than the block runs."""

    __slots__ = ("_bodies", "counted_bytes")

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.counted_bytes = 0
        """None of a small one."""

    def __enter__(self) -> HeldBody:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()

    def grow_to(self, size_bytes: int) -> None:
        """So much of it is held now; raises as ``Bodies.check`` does."""
        if size_bytes > UNCOUNTED_BYTES:
            self._bodies.check(size_bytes, self.counted_bytes)
            self._bodies.held_bytes += size_bytes - self.counted_bytes
            self.counted_bytes = size_bytes

    def let_go(self) -> None:
        """It is not held any more; safe to repeat."""
        self._bodies.held_bytes -= self.counted_bytes
        self.counted_bytes = 0
