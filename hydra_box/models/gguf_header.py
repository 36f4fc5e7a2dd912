"""The bytes of a GGUF header, read with every length checked.

The format is in ggml's docs/gguf.md: magic, version, two counts, key-value pairs, tensor
descriptions, padding, data. All numbers are little-endian here.
"""

from __future__ import annotations

import math
import os
import struct
from typing import BinaryIO

from hydra_box.types import Frozen

HEADER_LIMIT_BYTES = 64 * 1024 * 1024
"""Real headers are 1 to 20 MB, nearly all of it the vocabulary."""
TEXT_LIMIT_BYTES = 1024 * 1024
NAME_LIMIT_BYTES = 1024
MOST_ENTRIES = 1 << 17
"""Of keys and of tensors; the largest models have a few thousand."""
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MOST_DIMENSIONS = 4

STRING, ARRAY = 8, 9
SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
"""Value type to its struct format."""

BLOCKS = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    9: (32, 40),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    15: (256, 292),
    16: (256, 66),
    17: (256, 74),
    18: (256, 98),
    19: (256, 50),
    20: (32, 18),
    21: (256, 110),
    22: (256, 82),
    23: (256, 136),
    24: (1, 1),
    25: (1, 2),
    26: (1, 4),
    27: (1, 8),
    28: (1, 8),
    29: (256, 56),
    30: (1, 2),
    34: (256, 54),
    35: (256, 66),
    39: (32, 17),
    40: (64, 36),
    41: (128, 18),
}
"""Tensor type to (elements, bytes) of one block (``ggml_type`` in ggml.h and its type traits)."""

Value = str | int | float | bool


class Header(Frozen, frozen=True, kw_only=True):
    """What a header says; arrays are left out of ``values``."""

    values: dict[str, Value]
    parameters: int
    """Elements of all tensors."""
    end_of_tensors: int
    """The size in bytes that a whole file has at the least."""
    size_bytes: int


class _Reader:
    """Reads forwards, never past the end of the file or of the header's limit."""

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
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
        self._claim(count)
        data = self._file.read(count)
        if len(data) != count:
            raise ValueError("it became shorter while it was read")
        return data

    def skip(self, count: int) -> None:
        self._claim(count)
        self._file.seek(count, os.SEEK_CUR)

    def skip_texts(self, count: int) -> None:
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
        value: Value = struct.unpack(form, self.read(struct.calcsize(form)))[0]
        return value

    def u32(self) -> int:
        return int.from_bytes(self.read(4), "little")

    def u64(self) -> int:
        return int.from_bytes(self.read(8), "little")

    def text(self, limit: int) -> str:
        length = self.u64()
        if length > limit:
            raise ValueError(f"a text in its header claims {length:,} bytes")
        return self.read(length).decode("utf-8", "replace")

    def count(self, what: str) -> int:
        count = self.u64()
        if count > MOST_ENTRIES:
            raise ValueError(f"its header claims {count:,} {what}")
        return count


def read_header(file: BinaryIO, size_bytes: int) -> Header:
    """Read the header at the start of ``file``, which is ``size_bytes`` long.

    Raises:
        ValueError: it is no GGUF file, or a length, a count or a type in it is impossible; the
            text completes "the file is unusable: ...".

    """
    reader = _Reader(file, size_bytes)
    _check_start(reader)
    tensor_count, value_count = reader.count("tensors"), reader.count("keys")
    values: dict[str, Value] = {}
    for _ in range(value_count):
        key = reader.text(NAME_LIMIT_BYTES)
        value = _read_value(reader)
        if value is not None:
            values[key] = value
    parameters = end = 0
    for _ in range(tensor_count):
        elements, tensor_end = _read_tensor(reader)
        parameters += elements
        end = max(end, tensor_end)
    alignment = values.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise ValueError(f"its alignment is {alignment!r}")
    data_start = math.ceil(reader.position / alignment) * alignment
    return Header(
        values=values,
        parameters=parameters,
        end_of_tensors=data_start + end if tensor_count else reader.position,
        size_bytes=size_bytes,
    )


def _check_start(reader: _Reader) -> None:
    if reader.end < 24:
        raise ValueError(f"it has only {reader.end} bytes")
    magic = reader.read(4)
    if magic != b"GGUF":
        raise ValueError(f"it starts with {magic!r} instead of b'GGUF'")
    version = reader.u32()
    if version not in VERSIONS:
        kind = "big-endian" if version & 0xFFFF == 0 else f"of version {version}"
        raise ValueError(f"it is {kind}; known are the little-endian versions 2 and 3")


def _read_value(reader: _Reader) -> Value | None:
    kind = reader.u32()
    if kind == STRING:
        return reader.text(TEXT_LIMIT_BYTES)
    if kind == ARRAY:
        _skip_array(reader)
        return None
    if kind in SCALARS:
        return reader.number(SCALARS[kind])
    raise ValueError(f"a value in its header has the unknown type {kind}")


def _skip_array(reader: _Reader) -> None:
    kind, count = reader.u32(), reader.u64()
    if kind in SCALARS:
        reader.skip(count * struct.calcsize(SCALARS[kind]))
    elif kind == STRING:
        # Each text has 8 bytes of length at the least, so the header's limit bounds this loop.
        if count > (reader.end - reader.position) // 8:
            raise ValueError(f"an array in its header claims {count:,} texts")
        reader.skip_texts(count)
    else:
        raise ValueError(f"an array in its header has elements of the unknown type {kind}")


def _read_tensor(reader: _Reader) -> tuple[int, int]:
    """The tensor's number of elements, and its end in bytes from the start of the data."""
    reader.text(NAME_LIMIT_BYTES)
    dimensions = reader.u32()
    if not 0 < dimensions <= MOST_DIMENSIONS:
        raise ValueError(f"a tensor in it has {dimensions:,} dimensions")
    elements = math.prod(reader.u64() for _ in range(dimensions))
    # A type that is newer than this table counts as empty, so that its model is not refused.
    block_elements, block_bytes = BLOCKS.get(reader.u32(), (1, 0))
    return elements, reader.u64() + math.ceil(elements / block_elements) * block_bytes
