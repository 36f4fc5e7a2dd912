"""What the console keeps from one opening to the next: a few small files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")


class Notebook:
    """Named values as JSON files in one directory; what cannot be kept is only forgotten.

    The directory is made when the first value is kept.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, name: str, type: type[T], default: T) -> T:
        """The value of that name; the default if there is none that can be read."""
        try:
            return msgspec.json.decode(self._path(name).read_bytes(), type=type)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return default

    def keep(self, name: str, value: object) -> None:
        """Keep a value, in place of the one before; whole or not at all.

        Raises:
            OSError: there is no room, or it may not be written.

        """
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        number, path = tempfile.mkstemp(dir=self._directory)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(msgspec.json.encode(value))
            Path(path).replace(self._path(name))
        except BaseException:
            Path(path).unlink(missing_ok=True)
            raise

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"
