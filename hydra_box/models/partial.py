"""A file that has not arrived as a whole: its bytes, and beside it which of its blocks are there.

``<digest>.hydra-box.part`` has its full size from the start, with holes. In
``<digest>.hydra-box.blocks`` is the block size in eight bytes and then one byte a block, written
after the block's own bytes: a killed program loses the blocks that were on their way, and nothing
else. After a power failure a block may be marked that never reached the disk; the checksum of the
file finds it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from hydra_box.errors import Conflict

HEADER_BYTES = 8
MISSING, HERE = b"\0", b"\1"
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS})


def part_path(blob: Path) -> Path:
    """Where the bytes are until the file is whole."""
    return blob.with_name(f"{blob.name}.hydra-box.part")


def marks_path(blob: Path) -> Path:
    """Where it stands which blocks are there."""
    return blob.with_name(f"{blob.name}.hydra-box.blocks")


def block_count(size_bytes: int, block_bytes: int) -> int:
    """Blocks of a file; the last may be shorter."""
    return -(-size_bytes // block_bytes)


def bytes_here(marks: bytes | bytearray, size_bytes: int, block_bytes: int) -> int:
    """Bytes of the blocks that are marked."""
    if not marks:
        return 0
    whole = marks.count(HERE) * block_bytes
    return whole - (block_bytes * len(marks) - size_bytes if marks[-1:] == HERE else 0)


def arrived_bytes(blob: Path, size_bytes: int) -> int:
    """Bytes of an unfinished file that need not be fetched again."""
    try:
        if part_path(blob).stat().st_size != size_bytes:
            return 0
        found = _read_marks(marks_path(blob).read_bytes(), size_bytes)
    except FileNotFoundError:
        return 0
    return 0 if found is None else bytes_here(found[1], size_bytes, found[0])


def remove_partial(blob: Path) -> int:
    """Remove what has arrived of a file; returns the bytes of disk that it took.

    Raises:
        Conflict: a program is fetching it.
        OSError: it cannot be removed.
    """
    freed = 0
    for path in (part_path(blob), marks_path(blob)):
        with suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDWR)
            try:
                _lock(descriptor, path)
                freed += 512 * os.fstat(descriptor).st_blocks
                path.unlink()
            finally:
                os.close(descriptor)
    return freed


class PartialFile:
    """The two files of one that is being fetched, locked until they are closed."""

    def __init__(self, blob: Path, size_bytes: int, block_bytes: int) -> None:
        """Go on with what is there, or begin.

        Args:
            blob: where the file will be when it is whole.
            size_bytes: its size.
            block_bytes: size of a block, if it begins; else the block size of what is there counts.

        Raises:
            Conflict: a program is fetching it.
            OSError: the disk refuses.
        """
        self.blob = blob
        self.size_bytes = size_bytes
        self._part = _open_locked(part_path(blob))
        try:
            self._marks = _open_locked(marks_path(blob))
        except BaseException:
            os.close(self._part)
            raise
        self.block_bytes = block_bytes
        self.marks = b""
        """One byte a block, as they were when it was opened."""
        try:
            self._resume_or_begin()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Hold the locks."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of them."""
        self.close()

    def write(self, data: memoryview, at: int) -> None:
        """Write bytes at their place; they count when their block is marked."""
        while data:
            written = os.pwrite(self._part, data, at)
            data, at = data[written:], at + written

    def mark(self, block: int) -> None:
        """Remember that all bytes of a block are written."""
        os.pwrite(self._marks, HERE, HEADER_BYTES + block)

    def read_into(self, buffer: memoryview, at: int) -> int:
        """Read bytes back; returns how many."""
        return os.preadv(self._part, [buffer], at)

    def restart(self) -> None:
        """Throw all bytes away."""
        # Marks go first: what has no mark is fetched again, a mark without its block is wrong.
        os.ftruncate(self._marks, 0)
        os.ftruncate(self._part, 0)
        os.ftruncate(self._part, self.size_bytes)
        self.marks = MISSING * block_count(self.size_bytes, self.block_bytes)
        header = self.block_bytes.to_bytes(HEADER_BYTES, "big")
        os.pwrite(self._marks, header + self.marks, 0)

    def finish(self) -> None:
        """Give the whole file its name."""
        os.fsync(self._part)
        part_path(self.blob).replace(self.blob)
        marks_path(self.blob).unlink()

    def remove(self) -> None:
        """Remove both files."""
        marks_path(self.blob).unlink()
        part_path(self.blob).unlink()

    def close(self) -> None:
        """Let go of the files; what has arrived stays."""
        os.close(self._part)
        os.close(self._marks)

    def _resume_or_begin(self) -> None:
        marks = os.pread(self._marks, os.fstat(self._marks).st_size, 0)
        found = _read_marks(marks, self.size_bytes)
        if found is None or os.fstat(self._part).st_size != self.size_bytes:
            self.restart()
        else:
            self.block_bytes, self.marks = found


def _read_marks(data: bytes, size_bytes: int) -> tuple[int, bytes] | None:
    """The block size and the marks; None: they are not of a file of that size."""
    block_bytes = int.from_bytes(data[:HEADER_BYTES], "big")
    marks = data[HEADER_BYTES:]
    is_whole = len(data) >= HEADER_BYTES and block_bytes > 0
    if not is_whole or len(marks) != block_count(size_bytes, block_bytes):
        return None
    return block_bytes, marks


def _open_locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor, path)
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        # Whoever held the lock has renamed or removed that file meanwhile.
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Conflict(
            f"another program is fetching {path.name.partition('.')[0]} into {path.parent}",
            hint="wait for it to end, or stop it",
        ) from error
    except OSError as error:
        # A file system without locks: two programs would write the same bytes at the same places.
        if error.errno not in _NO_LOCKS:
            raise
