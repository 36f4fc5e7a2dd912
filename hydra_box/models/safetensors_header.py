"""The header of a safetensors file: 8 bytes of length, then JSON, then the data.

The format is in the safetensors project's README. The length is bounded as the format says, and
every tensor's place is checked against the file's size.
"""

from __future__ import annotations

import math
from typing import Protocol

import msgspec

from hydra_box.types import Frozen

LENGTH_BYTES = 8
HEADER_LIMIT_BYTES = 100_000_000
"""The format's own limit."""
MOST_DIMENSIONS = 16
METADATA = "__metadata__"

BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}
"""Element type to bits of one element."""


class SafeTensor(Frozen, frozen=True, kw_only=True):
    """One tensor, as the header describes it."""

    name: str
    dtype: str
    elements: int
    size_bytes: int


class _Entry(Frozen, frozen=True, kw_only=True):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


class Readable(Protocol):
    """Bytes that are read forwards."""

    def read(self, count: int, /) -> bytes:
        """The next ``count`` bytes, or fewer at the end."""


def read_tensors(file: Readable, size_bytes: int) -> tuple[SafeTensor, ...]:
    """The tensors of the file, which is ``size_bytes`` long.

    Raises:
        ValueError: it is no safetensors file, or something in its header is impossible; the text
            completes "the file is unusable: ...".

    """
    if size_bytes < LENGTH_BYTES + 2:
        raise ValueError(f"it has only {size_bytes} bytes")
    length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if length > min(HEADER_LIMIT_BYTES, size_bytes - LENGTH_BYTES):
        raise ValueError(f"its header claims {length:,} bytes of {size_bytes:,}")
    data = file.read(length)
    if len(data) != length:
        raise ValueError("it became shorter while it was read")
    return _parse(data, size_bytes - LENGTH_BYTES - length)


def _parse(header: bytes, data_bytes: int) -> tuple[SafeTensor, ...]:
    try:
        raw = msgspec.json.decode(header, type=dict[str, msgspec.Raw])
        raw.pop(METADATA, None)
        decoder = msgspec.json.Decoder(_Entry)
        entries = {name: decoder.decode(entry) for name, entry in raw.items()}
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"its header is not what the format says ({error})") from error
    end = max((entry.data_offsets[1] for entry in entries.values()), default=0)
    if end > data_bytes:
        raise ValueError(f"it is truncated: {end - data_bytes:,} bytes are missing")
    return tuple(_tensor(name, entry) for name, entry in entries.items())


def _tensor(name: str, entry: _Entry) -> SafeTensor:
    begin, end = entry.data_offsets
    if not 0 <= begin <= end:
        raise ValueError(f"its tensor {name[:80]!r} lies at {begin:,} to {end:,}")
    if len(entry.shape) > MOST_DIMENSIONS or any(one < 0 for one in entry.shape):
        raise ValueError(f"its tensor {name[:80]!r} has an impossible shape")
    elements, size_bytes = math.prod(entry.shape), end - begin
    bits = BITS.get(entry.dtype)
    if bits is not None and -(-elements * bits // 8) != size_bytes:
        raise ValueError(f"its tensor {name[:80]!r} has {size_bytes:,} bytes for its shape")
    if bits is None:
        # A type that is newer than this table: one element a byte is the least that it can have.
        elements = min(elements, 8 * size_bytes)
    return SafeTensor(name=name, dtype=entry.dtype, elements=elements, size_bytes=size_bytes)
