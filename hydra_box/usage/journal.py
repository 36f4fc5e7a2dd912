"""Requests that are over and not in the database yet, on the disk: a line each.

A line is written before the client gets the last of its answer, and a process that is killed loses
nothing that it has written; only the loss of power does, for which nobody waits here. The journal
is cut into numbered segments, so that what comes while a batch is stored goes into the next one.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hydra_box.types import RequestRecord

log = logging.getLogger(__name__)


class UsageJournal:
    """Appends; one writer, which never waits for the disk.

    Args:
        path: what the names of its segments begin with.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._aside = path.with_name(f"{path.name}.unreadable")
        self._encoder = msgspec.json.Encoder()
        self._next = self._first = max(self._numbers(), default=0) + 1
        self._fd: int | None = None
        self._size = 0
        self._sealed: list[int] = []

    def append(self, request: RequestRecord) -> None:
        """Write a line; once this returns it outlives the process.

        Raises:
            OSError: nothing of it was written.

        """
        if self._fd is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._fd = os.open(self._segment(self._next), flags, 0o600)
            self._size = 0
        line = self._encoder.encode(request) + b"\n"
        written = os.write(self._fd, line)
        self._size += written
        if written < len(line):
            self._take_back(written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def seal(self) -> None:
        """From now on the next segment is written; one that has nothing yet goes on."""
        if self._fd is not None and self._size:
            os.close(self._fd)
            self._fd = None
            self._sealed.append(self._next)
            self._next += 1

    @property
    def sealed(self) -> tuple[int, ...]:
        """The numbers of the segments that are sealed and still there, oldest first."""
        return tuple(self._sealed)

    def remove_sealed(self) -> None:
        """Remove every sealed segment: the database has what is in them.

        Raises:
            OSError: one stays, and its requests are stored again, which changes nothing.

        """
        while self._sealed:
            self._segment(self._sealed[0]).unlink(missing_ok=True)
            del self._sealed[0]

    def left(self) -> list[int]:
        """The numbers of the segments that an earlier daemon left, oldest first."""
        return [number for number in self._numbers() if number < self._first]

    def read(self, number: int) -> list[RequestRecord]:
        """The requests of a segment, which counts as sealed then.

        A line that cannot be read goes into a file of its own; if that fails, its segment stays.

        Raises:
            OSError: the segment cannot be read.

        """
        segment = self._segment(number)
        requests, strange = _read(segment)
        if number not in self._sealed and self._keep_strange(segment, strange):
            self._sealed.append(number)
        return requests

    def set_aside(self, lines: Sequence[bytes]) -> None:
        """Keep lines that cannot be stored, where their owner can look at them.

        Raises:
            OSError: they are not kept.

        """
        self._aside.touch(mode=0o600)
        with self._aside.open("ab") as file:
            file.writelines(line + b"\n" for line in lines)

    def _take_back(self, written: int) -> None:
        """Cut off a part of a line: what follows must not be glued to it."""
        if self._fd is None:
            return
        try:
            os.ftruncate(self._fd, self._size - written)
            self._size -= written
        except OSError:
            self.seal()
            raise

    def _keep_strange(self, segment: Path, lines: list[bytes]) -> bool:
        """Whether the lines of a segment that are no requests are kept elsewhere now."""
        if not lines:
            return True
        try:
            self.set_aside(lines)
        except OSError as error:
            log.error(
                "%s: %d lines are no requests, and stay there, for %s: %s",
                *(segment, len(lines), self._aside, error.strerror),
            )
            return False
        log.error("%s: %d lines are no requests, and are in %s", segment, len(lines), self._aside)
        return True

    def _numbers(self) -> list[int]:
        """Of the segments that there are, oldest first."""
        names = (one.suffix[1:] for one in self._path.parent.glob(f"{self._path.name}.*"))
        return sorted(int(name) for name in names if name.isdecimal())

    def _segment(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _read(segment: Path) -> tuple[list[RequestRecord], list[bytes]]:
    """A segment's requests, and its lines that are none."""
    *lines, torn = segment.read_bytes().split(b"\n")
    if torn:
        log.warning(
            "%s: its last line was being written when the daemon ended, and is left out: "
            "no client got the end of that answer",
            segment,
        )
    requests: list[RequestRecord] = []
    strange: list[bytes] = []
    for line in lines:
        try:
            requests.append(msgspec.json.decode(line, type=RequestRecord))
        except (msgspec.DecodeError, UnicodeDecodeError):
            strange.append(line)
    return requests, strange
