"""The memory of one device as a bar: whose each part is, readable without colour."""

from __future__ import annotations

from typing import Final

from textual.content import Content

from hydra_box.shown.numbers import shares

OTHERS: Final = "▒"
OURS: Final = "▓"
PLAN: Final = "█"
FREE: Final = "░"
_STYLES: Final = {OTHERS: "$warning", OURS: "$primary", PLAN: "$success", FREE: "$foreground 40%"}


def memory_bar(*, others: int, ours: int, plan: int = 0, free: int, width: int) -> Content:
    """A bar of so many characters; what is there at all has at least one. All in bytes."""
    parts = (others, ours, plan, free)
    pieces = zip((OTHERS, OURS, PLAN, FREE), shares(parts, width), strict=True)
    return Content.assemble(*((char * number, _STYLES[char]) for char, number in pieces if number))


def legend(*, plan: bool) -> Content:
    """What the characters of a bar mean."""
    words = [(OTHERS, "others and reserve"), (OURS, "ours"), (FREE, "free")]
    if plan:
        words.insert(2, (PLAN, "this plan"))
    parts = [Content.assemble((char, _STYLES[char]), f" {word}") for char, word in words]
    return Content("  ").join(parts)
