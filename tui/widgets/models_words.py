"""Words that models, downloads and runtimes are told in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from textual.content import Content

from hydra_box.shown.text import harmless
from hydra_box.types import StoredAs

KEPT_AS: Final = {
    StoredAs.HUB: "hub cache",
    StoredAs.REFERENCE: "in place",
    StoredAs.COPY: "copy",
}
KEPT_AS_IN_FULL: Final = {
    StoredAs.HUB: "in the hub's cache, which other programs of this machine share",
    StoredAs.REFERENCE: "used where its owner has it",
    StoredAs.COPY: "a copy of this box's own",
}
PAIR: Final = 11
"""Characters before what a word of ``pair`` stands for."""
_HINT: Final = "; hint: "


def troubles(text: str) -> Iterator[Content]:
    """What is wrong, and below it the hint, if the text has one."""
    fact, _, hint = harmless(text).partition(_HINT)
    yield Content.styled(f"! {fact}", "$text-error")
    if hint:
        yield Content(f"  hint: {hint}")


def pair(word: str, text: str) -> Content:
    """A word in a column of its own, and what it stands for."""
    return Content.assemble((f"{word:<{PAIR}}", "$text-muted"), harmless(text))


def clip(text: str, width: int) -> str:
    """A name in at most so many characters; what is cut off is its end."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def clip_start(text: str, width: int) -> str:
    """A path in at most so many characters; what is cut off is its start."""
    return text if len(text) <= width else f"…{text[1 - width :]}"
