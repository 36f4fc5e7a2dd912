"""What may be a model in another program's folder, and careful looks into such folders."""

from __future__ import annotations

import os
import stat
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec

from hydra_box.types import Frozen

MOST_ENTRIES = 50_000

T = TypeVar("T")


class Candidate(Frozen, frozen=True, kw_only=True):
    """What may be a model: its files have not been looked into."""

    source: str
    """The program."""
    path: Path
    """The first GGUF file, or the safetensors directory."""
    name: str = ""
    """What the program calls it."""
    repository: str | None = None
    """On the hub, if the program knows that it is from there; it gives the name then."""
    projector: Path | None = None
    """Where it lies apart."""


class Walk:
    """Looks into directories, at a bounded number of entries in all.

    Another program's folder need not be whole: what is not there, not to be read or not what it
    should be counts as empty.
    """

    def __init__(self, most_entries: int = MOST_ENTRIES) -> None:
        self._left = most_entries

    def entries(self, directory: Path) -> tuple[Path, ...]:
        """What is in a directory, by name."""
        try:
            with os.scandir(directory) as found:
                names = [one.name for one in islice(found, self._left)]
        except (OSError, ValueError):
            # See the class; ValueError is a name with a zero byte, out of a settings file.
            return ()
        self._left -= len(names)
        return tuple(directory / name for name in sorted(names))


def read_json(path: Path, kind: type[T], *, limit_bytes: int) -> T | None:
    """A small JSON file; None: it is not there, too large, or of another shape."""
    try:
        # Without waiting: there may be a pipe instead of a file.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        # Most machines have most of these programs not.
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit_bytes:
            return None
        return msgspec.json.decode(os.read(descriptor, limit_bytes), type=kind)
    except (OSError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        # It is the other program's, which may have been stopped while it wrote.
        return None
    finally:
        os.close(descriptor)
