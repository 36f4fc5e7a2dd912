"""How much a line of an engine's log matters, and which lines are shown."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final


class Level(IntEnum):
    """The least that a line must matter to be shown."""

    ALL = 0
    WARNING = 1
    ERROR = 2

    @property
    def title(self) -> str:
        """As it is shown."""
        return {Level.ALL: "all", Level.WARNING: "warnings", Level.ERROR: "errors"}[self]

    @property
    def next(self) -> Level:
        """The one after it; after the last, the first."""
        return Level((self + 1) % len(Level))


_ERROR: Final = re.compile(
    r"\b(error|fatal|critical|exception|traceback|abort(ed)?|failed|out of memory)\b"
    r"|^[\d.\s]*E\s|\bE[0-9]{4}\b",
    re.IGNORECASE,
)
_WARNING: Final = re.compile(r"\b(warn(ing)?|deprecated)\b|^[\d.\s]*W\s", re.IGNORECASE)


def level_of(line: str) -> Level:
    """By the words that llama.cpp, vLLM and Python's logging use."""
    if _ERROR.search(line):
        return Level.ERROR
    return Level.WARNING if _WARNING.search(line) else Level.ALL


def is_shown(line: str, words: str, least: Level) -> bool:
    """Whether a line has the words, whatever their case, and matters enough."""
    return words in line.casefold() and level_of(line) >= least
