"""Tells reasoning from answer in the text of a model whose engine does not."""

from __future__ import annotations

from typing import Final

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


def split_thinking(text: str, *, ended: bool) -> tuple[str, str]:
    """Reasoning and answer, as far as they can be told apart yet.

    1. ``<think>`` at the start, ``</think>`` later or not yet: what is between is reasoning.
    2. Only ``</think>``: some chat templates have written the start already. An answer that
       quotes the tag has a backtick before it.
    3. Anything else is the answer.

    While it has not ended, a start that may become ``<think>``, and an end that may become
    ``</think>``, are held back.
    """
    start = text.lstrip()
    if not ended and _OPEN.startswith(start):
        return "", ""
    if start.startswith(_OPEN):
        inside, closed, after = start.removeprefix(_OPEN).partition(_CLOSE)
        if not closed and not ended:
            inside = _without_start_of_close(inside)
        return inside.strip(), after.lstrip()
    before, closed, after = text.partition(_CLOSE)
    if closed and _OPEN not in before and not before.endswith("`"):
        return before.strip(), after.lstrip()
    return "", text


def _without_start_of_close(text: str) -> str:
    for length in range(len(_CLOSE) - 1, 0, -1):
        if text.endswith(_CLOSE[:length]):
            return text[:-length]
    return text
