"""Reads the numbers and texts of a GGUF header, with every length checked."""

from __future__ import annotations

import os
import struct
from typing import Protocol

HEADER_LIMIT_BYTES = 64 * 1024 * 1024
"""Real headers are 1 to 20 MB, nearly all of it the vocabulary."""
MOST_ENTRIES = 1 << 17
"""Of keys and of tensors; the largest models have a few thousand."""

Value = str | int | float | bool


class Source(Protocol):
    """Bytes that are read forwards: a file, or a part of one on the hub."""

    def read(self, count: int, /) -> bytes:
        """The next ``count`` bytes, or fewer at the end."""

    def seek(self, offset: int, whence: int, /) -> object:
        """Skip ``offset`` bytes (``whence`` is ``os.SEEK_CUR``)."""


class HeaderReader:
    """Reads forwards, never past the end of the file or of the header's limit.

    Raises:
        ValueError: it would.

    """

    def __init__(self, file: Source, size_bytes: int) -> None:
        self._file = file
        self.position = 0
        self.end = min(size_bytes, HEADER_LIMIT_BYTES)

    def _claim(self, count: int) -> None:
        if count > self.end - self.position:
            raise ValueError(
                f"its header asks for {count:,} bytes at {self.position:,}, "
                f"where {self.end - self.position:,} are left"
            )
        self.position += count

    def read(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        self._claim(count)
        data = self._file.read(count)
        if len(data) != count:
            raise ValueError("it became shorter while it was read")
        return data

    def skip(self, count: int) -> None:
        """Leave out ``count`` bytes."""
        self._claim(count)
        self._file.seek(count, os.SEEK_CUR)

    def skip_texts(self, count: int) -> None:
        """Leave out ``count`` texts."""
        # A vocabulary has up to half a million texts, so the calls in this loop count.
        read, seek, end, position = self._file.read, self._file.seek, self.end, self.position
        for _ in range(count):
            length = int.from_bytes(read(8), "little")
            position += 8 + length
            if position > end:
                raise ValueError(f"a text in its header claims {length:,} bytes")
            seek(length, os.SEEK_CUR)
        self.position = position

    def number(self, form: str) -> Value:
        """A number of that ``struct`` format."""
        value: Value = struct.unpack(form, self.read(struct.calcsize(form)))[0]
        return value

    def u32(self) -> int:
        """A number of four bytes."""
        return int.from_bytes(self.read(4), "little")

    def u64(self) -> int:
        """A number of eight bytes."""
        return int.from_bytes(self.read(8), "little")

    def text(self, limit: int) -> str:
        """A text of at most ``limit`` bytes."""
        length = self.u64()
        if length > limit:
            raise ValueError(f"a text in its header claims {length:,} bytes")
        return self.read(length).decode("utf-8", "replace")

    def count(self, what: str) -> int:
        """A count of things that the header describes."""
        count = self.u64()
        if count > MOST_ENTRIES:
            raise ValueError(f"its header claims {count:,} {what}")
        return count
