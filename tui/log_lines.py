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


_OF_LLAMA_CPP: Final = re.compile(r"^(?:\S+ \| )?[\d.]+ ([DIWE]) ")
"""llama.cpp says itself how much a line matters, after the instance that is before it."""
_LETTERS: Final = {"W": Level.WARNING, "E": Level.ERROR}
_ERROR: Final = re.compile(
    r"\b(error|fatal|critical|exception|traceback|abort(ed)?|failed|out of memory)\b"
    r"|\bE[0-9]{4}\b",
    re.IGNORECASE,
)
_WARNING: Final = re.compile(r"\b(warn(ing)?|deprecated)\b", re.IGNORECASE)


def level_of(line: str) -> Level:
    """By the words that llama.cpp, vLLM and Python's logging use."""
    if told := _OF_LLAMA_CPP.match(line):
        return _LETTERS.get(told[1], Level.ALL)
    if _ERROR.search(line):
        return Level.ERROR
    return Level.WARNING if _WARNING.search(line) else Level.ALL


def is_shown(line: str, words: str, least: Level) -> bool:
    """Whether a line has the words, whatever their case, and matters enough."""
    return words in line.casefold() and level_of(line) >= least
