"""Reading the logs that engines write: their last lines, and what is added to them."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path

from hydra_box.errors import NotFound

LONGEST_TAIL = 10_000
"""Lines that can be asked for at once."""
POLL_SECONDS = 0.25

_BLOCK_BYTES = 64 * 1024
_TAIL_LIMIT_BYTES = 8 * 1024 * 1024
_READ_LIMIT_BYTES = 256 * 1024
_LONGEST_LINE_BYTES = 64 * 1024


class LogFile:
    """A log that someone else writes; read from its last lines on.

    It may be missing yet, be truncated (the daemon rotates so) or be replaced: reading goes on
    with what is there then.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: io.FileIO | None = None
        self._unfinished = b""

    def tail(self, count: int) -> list[bytes]:
        """The last complete lines, from the older file too if need be; blocking."""
        lines: list[bytes] = []
        if self._open() is not None and self._file is not None:
            *lines, self._unfinished = _read_back(self._file, count).split(b"\n")
        older = self._path.with_name(f"{self._path.name}.1")
        if len(lines) < count and older.exists():
            with io.FileIO(older) as file:
                text = _read_back(file, count).removesuffix(b"\n")
            lines = [*text.split(b"\n"), *lines]
        return lines[max(0, len(lines) - count) :]

    def new_lines(self) -> list[bytes]:
        """The lines completed since the last call, a bounded part of them at a time."""
        file = self._open()
        if file is None:
            return []
        if os.fstat(file.fileno()).st_size < file.tell():
            file.seek(0)
            self._unfinished = b""
        data = file.read(_READ_LIMIT_BYTES)
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        if len(self._unfinished) > _LONGEST_LINE_BYTES or (not data and self._was_replaced(file)):
            lines += self.end()
        return lines

    def end(self) -> list[bytes]:
        """The last line, if it has no end yet; it is not told again."""
        unfinished, self._unfinished = self._unfinished, b""
        return [unfinished] if unfinished else []

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> io.FileIO | None:
        if self._file is None and self._path.exists():
            self._file = io.FileIO(self._path)
        return self._file

    def _was_replaced(self, file: io.FileIO) -> bool:
        """Whether the path now names another file; then that one is read from now on."""
        try:
            replaced = not os.path.samestat(self._path.stat(), os.fstat(file.fileno()))
        except FileNotFoundError:
            return False
        if replaced:
            self.close()
        return replaced


async def read_logs(
    sources: Callable[[], Mapping[str, Path]], *, lines: int, follow: bool, named: bool
) -> AsyncGenerator[bytes, None]:
    """The last lines of some logs and, when following, what is added to them.

    Args:
        sources: the logs there are now, by instance id; asked again and again when following,
            it ends by raising NotFound.
        lines: how many of the last lines of each log.
        follow: go on until the sources are gone.
        named: put the instance's id before each line.
    """
    files: dict[str, LogFile] = {}
    wanted = lines
    try:
        while True:
            try:
                paths = sources()
            except NotFound:
                paths, follow = {}, False
            for instance_id, path in paths.items():
                if instance_id not in files:
                    files[instance_id] = LogFile(path)
                    found = await asyncio.to_thread(files[instance_id].tail, wanted)
                    yield _join(found, instance_id, named=named)
            for instance_id, file in list(files.items()):
                added = file.new_lines()
                if not follow or instance_id not in paths:
                    added += file.end()
                    files.pop(instance_id).close()
                yield _join(added, instance_id, named=named)
            if not follow:
                return
            # Whatever starts from now on is shown from its first line.
            wanted = LONGEST_TAIL
            await asyncio.sleep(POLL_SECONDS)
    finally:
        for file in files.values():
            file.close()


def _join(lines: list[bytes], instance_id: str, *, named: bool) -> bytes:
    mark = f"{instance_id} | ".encode() if named else b""
    return b"".join(mark + line + b"\n" for line in lines)


def _read_back(file: io.FileIO, count: int) -> bytes:
    """The end of a file, with at least so many line ends if it has them; left at its end."""
    end = start = file.seek(0, os.SEEK_END)
    blocks: list[bytes] = []
    found = 0
    while start > 0 and found <= count and end - start < _TAIL_LIMIT_BYTES:
        size = min(_BLOCK_BYTES, start)
        start -= size
        blocks.insert(0, os.pread(file.fileno(), size, start))
        found += blocks[0].count(b"\n")
    return b"".join(blocks)
