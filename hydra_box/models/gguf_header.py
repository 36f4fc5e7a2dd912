"""The bytes of a GGUF header, read with every length checked.

The format is in ggml's docs/gguf.md: magic, version, two counts, key-value pairs, tensor
descriptions, padding, data. All numbers are little-endian here.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import NamedTuple

from hydra_box.models.ggml_types import BLOCKS
from hydra_box.models.gguf_reader import HeaderReader, Source, Value
from hydra_box.types import Frozen

TEXT_LIMIT_BYTES = 1024 * 1024
NAME_LIMIT_BYTES = 1024
START_BYTES = 24
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

MOST_ARRAY_VALUES = 4096
"""Longer arrays are not per block: they are counted and skipped."""
MOST_ELEMENTS = 1 << 50
"""Of one tensor; the largest models have 2^40 in all."""


class TensorInfo(Frozen, frozen=True, kw_only=True):
    """One tensor, as the header describes it."""

    name: str
    dimensions: tuple[int, ...]
    """The length of a row first, as ggml counts."""
    size_bytes: int

    @property
    def elements(self) -> int:
        """Of all rows."""
        return math.prod(self.dimensions)


class Header(Frozen, frozen=True, kw_only=True):
    """What a header says."""

    values: dict[str, Value]
    """Without arrays."""
    arrays: dict[str, tuple[Value, ...]]
    """Those of numbers that are short enough to be per block."""
    lengths: dict[str, int]
    """Of every array."""
    tensors: tuple[TensorInfo, ...]
    tensors_at: int
    """Where the descriptions of the tensors begin, in bytes."""
    header_bytes: int
    """Where they end."""
    end_of_tensors: int
    """The size in bytes that a whole file has at the least."""
    size_bytes: int


def read_header(file: Source, size_bytes: int) -> Header:
    """Read the header at the start of ``file``, which is ``size_bytes`` long.

    Raises:
        ValueError: it is no GGUF file, or a length, a count or a type in it is impossible; the
            text completes "the file is unusable: ...".

    """
    reader = HeaderReader(file, size_bytes)
    tensor_count, value_count = read_start(reader)
    values, arrays, lengths = read_values(reader, value_count)
    tensors_at = reader.position
    tensors, end = read_tensors(reader, tensor_count)
    start = data_start(reader.position, values)
    return Header(
        values=values,
        arrays=arrays,
        lengths=lengths,
        tensors=tensors,
        tensors_at=tensors_at,
        header_bytes=reader.position,
        end_of_tensors=start + end if tensors else reader.position,
        size_bytes=size_bytes,
    )


class Values(NamedTuple):
    """The keys of a header, by what they have; as in ``Header``."""

    values: dict[str, Value]
    arrays: dict[str, tuple[Value, ...]]
    lengths: dict[str, int]


def read_values(reader: HeaderReader, count: int, *, until: str | None = None) -> Values:
    """``count`` keys with their values, or those before the first whose name starts with ``until``.

    Raises:
        ValueError: as ``read_header``.

    """
    found = Values({}, {}, {})
    for _ in range(count):
        key = reader.text(NAME_LIMIT_BYTES)
        if until is not None and key.startswith(until):
            break
        value = _read_value(reader)
        if isinstance(value, _Array):
            found.lengths[key] = value.length
            if value.values is not None:
                found.arrays[key] = value.values
        else:
            found.values[key] = value
    return found


def read_tensors(reader: HeaderReader, count: int) -> tuple[tuple[TensorInfo, ...], int]:
    """Descriptions of ``count`` tensors, and the end in bytes of the last, from the data's start.

    Raises:
        ValueError: as ``read_header``.

    """
    found, end = [], 0
    for _ in range(count):
        tensor, offset = _read_tensor(reader)
        found.append(tensor)
        end = max(end, offset + tensor.size_bytes)
    return tuple(found), end


def data_start(header_bytes: int, values: Mapping[str, Value]) -> int:
    """Where the tensors' data begins, in bytes from the start of the file.

    Raises:
        ValueError: the alignment is impossible.

    """
    alignment = values.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise ValueError(f"its alignment is {alignment!r}")
    return math.ceil(header_bytes / alignment) * alignment


def read_start(reader: HeaderReader) -> tuple[int, int]:
    """The counts of tensors and of keys, from the first 24 bytes.

    Raises:
        ValueError: as ``read_header``.

    """
    if reader.end < START_BYTES:
        raise ValueError(f"it has only {reader.end} bytes")
    magic = reader.read(4)
    if magic != b"GGUF":
        raise ValueError(f"it starts with {magic!r} instead of b'GGUF'")
    version = reader.u32()
    if version not in VERSIONS:
        kind = "big-endian" if version & 0xFFFF == 0 else f"of version {version}"
        raise ValueError(f"it is {kind}; known are the little-endian versions 2 and 3")
    return reader.count("tensors"), reader.count("keys")


class _Array(NamedTuple):
    length: int
    values: tuple[Value, ...] | None


def _read_value(reader: HeaderReader) -> Value | _Array:
    kind = reader.u32()
    if kind == STRING:
        return reader.text(TEXT_LIMIT_BYTES)
    if kind == ARRAY:
        return _read_array(reader)
    if kind in SCALARS:
        return reader.number(SCALARS[kind])
    raise ValueError(f"a value in its header has the unknown type {kind}")


def _read_array(reader: HeaderReader) -> _Array:
    kind, count = reader.u32(), reader.u64()
    if kind in SCALARS:
        size = struct.calcsize(SCALARS[kind])
        if count > MOST_ARRAY_VALUES:
            reader.skip(count * size)
            return _Array(count, None)
        data = reader.read(count * size)
        return _Array(count, tuple(one for (one,) in struct.iter_unpack(SCALARS[kind], data)))
    if kind != STRING:
        raise ValueError(f"an array in its header has elements of the unknown type {kind}")
    # Each text has 8 bytes of length at the least, so the header's limit bounds this loop.
    if count > (reader.end - reader.position) // 8:
        raise ValueError(f"an array in its header claims {count:,} texts")
    reader.skip_texts(count)
    return _Array(count, None)


def _read_tensor(reader: HeaderReader) -> tuple[TensorInfo, int]:
    """The tensor, and where it begins, in bytes from the start of the data."""
    name = reader.text(NAME_LIMIT_BYTES)
    count = reader.u32()
    if not 0 < count <= MOST_DIMENSIONS:
        raise ValueError(f"a tensor in it has {count:,} dimensions")
    dimensions = tuple(reader.u64() for _ in range(count))
    elements = math.prod(dimensions)
    if elements > MOST_ELEMENTS:
        raise ValueError(f"a tensor in it has {elements:,} elements")
    # A type that is newer than this table counts as empty, so that its model is not refused.
    block_elements, block_bytes = BLOCKS.get(reader.u32(), (1, 0))
    size_bytes = -(-elements // block_elements) * block_bytes
    return TensorInfo(name=name, dimensions=dimensions, size_bytes=size_bytes), reader.u64()
