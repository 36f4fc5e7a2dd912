"""Checksums as the hub tells them: SHA-256 of large files, the blob SHA-1 of git of small ones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

SHA256_DIGITS = 64
CHUNK_BYTES = 4 * 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Hasher(Protocol):
    """What is fed the bytes of a file in order, and tells its checksum."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take the next bytes."""

    def hexdigest(self) -> str:
        """The checksum of all bytes so far, in lower-case hex."""


def is_digest(text: str) -> bool:
    """Whether a text is a checksum of one of the two kinds, in lower-case hex."""
    return _DIGEST.fullmatch(text) is not None


def hasher(like: str | None, size_bytes: int) -> Hasher:
    """What computes a checksum of the same kind as ``like``, for a file of that size."""
    if like is None or len(like) == SHA256_DIGITS:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % size_bytes, usedforsecurity=False)


def kind_of(digest: str) -> str:
    """``SHA-256`` or ``git SHA-1``, as it is called in a message."""
    return "SHA-256" if len(digest) == SHA256_DIGITS else "git SHA-1"


def digest_of(
    path: Path,
    like: str | None,
    *,
    size_bytes: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> str:
    """The checksum of a file, of the same kind as ``like``.

    Args:
        path: the file.
        like: a checksum; its length tells the kind. None: SHA-256.
        size_bytes: the file's size, if it is known already; git's checksum depends on it.
        progress: called with the count of each chunk's bytes; what it raises ends the reading.

    Raises:
        OSError: the file cannot be read.
    """
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with path.open("rb", buffering=0) as file:
        size = path.stat().st_size if size_bytes is None else size_bytes
        hashing = hasher(like, size)
        while count := file.readinto(buffer):
            hashing.update(buffer[:count])
            if progress is not None:
                progress(count)
    return hashing.hexdigest()
