"""Typed access to the values of a GGUF header, bounded."""

from __future__ import annotations

from hydra_box.models.gguf_header import Header

MOST = 1 << 31
"""Larger than any length, count or width that a model has."""
NAME_LIMIT = 64
MOST_BLOCKS = 1024
"""llama.cpp takes 512."""


class GgufValues:
    """The values of one model; keys without their architecture's name in front.

    Raises:
        ValueError: a number is negative or impossibly large; the text completes "the file is
            unusable: ...".

    """

    def __init__(self, header: Header) -> None:
        self._header = header
        self.architecture = self.text("general.architecture") or ""
        if len(self.architecture) > NAME_LIMIT:
            raise ValueError(f"its architecture's name has {len(self.architecture):,} letters")

    def text(self, key: str) -> str | None:
        """The text with that whole key."""
        value = self._header.values.get(key)
        return value if isinstance(value, str) else None

    def whole(self, key: str) -> int | None:
        """The whole number with that whole key."""
        value = self._header.values.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def number(self, key: str) -> int | None:
        """A whole number; of an array the largest; None: there is none."""
        found = self._all(key)
        return max(found) if found else None

    def count(self, key: str) -> int:
        """A whole number, 0 if there is none."""
        return self.number(key) or 0

    def flag(self, key: str) -> bool | None:
        """A truth value; None: there is none."""
        value = self._header.values.get(f"{self.architecture}.{key}")
        return value if isinstance(value, bool) else None

    def per_block(self, key: str, blocks: int) -> tuple[int, ...] | None:
        """One number for each block: an array, or one number for all; None: there is none."""
        found = self._all(key)
        if not found:
            return None
        if f"{self.architecture}.{key}" in self._header.values:
            return found * blocks
        # llama.cpp refuses a shorter array; a longer one describes blocks that are not there.
        return found[:blocks] if len(found) >= blocks else None

    def length(self, key: str) -> int | None:
        """Elements of the array with that whole key."""
        return self._header.lengths.get(key)

    def blocks(self) -> int:
        """How many blocks the model has."""
        count = self.number("block_count")
        if not count or count > MOST_BLOCKS:
            raise ValueError(f"its {self.architecture}.block_count is {count}")
        return count

    def _all(self, key: str) -> tuple[int, ...]:
        whole = f"{self.architecture}.{key}"
        value = self._header.values.get(whole)
        values = self._header.arrays.get(whole, ()) if value is None else (value,)
        numbers = tuple(int(one) for one in values if isinstance(one, int))
        if any(not 0 <= one < MOST for one in numbers):
            raise ValueError(f"its {whole} is {min(numbers):,} to {max(numbers):,}")
        return numbers if len(numbers) == len(values) else ()
