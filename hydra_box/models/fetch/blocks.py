"""Which blocks of a file are there, which are under way, and which is next."""

from __future__ import annotations

from threading import Condition

from hydra_box.models.partial import HERE, bytes_here
from hydra_box.plan.transfer import range_blocks


class Blocks:
    """Shared by the threads that fetch a file; each block is given to one of them."""

    def __init__(self, marks: bytes, size_bytes: int, block_bytes: int) -> None:
        """Begin with the blocks that are marked as there."""
        self._done = bytearray(marks)
        self._taken = bytearray(len(marks))
        self._size_bytes = size_bytes
        self._block_bytes = block_bytes
        self._next = 0
        """No block before it is free."""
        self._missing = len(marks) - marks.count(HERE)
        self.changed = Condition()
        """Notified at every block that comes, and when the work ends early."""
        self.new = 0
        """Blocks that came since the beginning."""

    @property
    def count(self) -> int:
        """Blocks of the whole file."""
        return len(self._done)

    @property
    def missing(self) -> int:
        """Blocks that are not there yet."""
        return self._missing

    @property
    def done_bytes(self) -> int:
        """Bytes of the blocks that are there."""
        return bytes_here(self._done, self._size_bytes, self._block_bytes)

    def is_there(self, block: int) -> bool:
        """Whether a block is there."""
        return self._done[block : block + 1] == HERE

    def take(self, connections: int, most: int) -> range | None:
        """The next run of free blocks, at most so many; None: there is none."""
        with self.changed:
            first = self._next
            while first < self.count and not self._is_free(first):
                first += 1
            end = first
            most = range_blocks(self._missing, connections, most)
            while end < min(first + most, self.count) and self._is_free(end):
                self._taken[end] = 1
                end += 1
            self._next = end
            return range(first, end) if end > first else None

    def give_back(self, blocks: range) -> None:
        """Let others have what was taken and has not come."""
        with self.changed:
            self._taken[blocks.start : blocks.stop] = bytes(len(blocks))
            self._next = min(self._next, blocks.start)

    def came(self, block: int) -> None:
        """A block is there."""
        with self.changed:
            if not self.is_there(block):
                self._done[block] = 1
                self._missing -= 1
            self.new += 1
            self.changed.notify_all()

    def wake(self) -> None:
        """Have those who wait for blocks look again."""
        with self.changed:
            self.changed.notify_all()

    def _is_free(self, block: int) -> bool:
        return not self._done[block] and not self._taken[block]
