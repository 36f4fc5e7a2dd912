"""The memory of devices as bars: whose each part is, readable without colour."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

from hydra_box.cli.output import style, table
from hydra_box.messages import DevicePlan
from hydra_box.shown.numbers import shares

WIDTH: Final = 80
"""Columns that a table with a bar takes at most."""
_NARROWEST: Final = 12
_LONGEST_LABEL: Final = 24
_GIB: Final = 1 << 30


class Glyphs(NamedTuple):
    """One character for each part of a bar, in its order."""

    others: str
    ours: str
    plan: str
    free: str


BLOCKS: Final = Glyphs("▒", "▓", "█", "░")
ASCII: Final = Glyphs("x", "o", "#", ".")
_COLOURS: Final = Glyphs("yellow", "cyan", "green", "")


def glyphs() -> Glyphs:
    """Blocks, or letters where stdout's encoding has no blocks."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        "".join(BLOCKS).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS


def devices(plans: Sequence[DevicePlan], chars: Glyphs) -> str:
    """A line for each device: its bar, and the same in GiB; a legend below."""
    columns = [("OTHERS", [one.others_bytes for one in plans])]
    if any(one.ours_bytes for one in plans):
        columns.append(("OURS", [one.ours_bytes for one in plans]))
    if any(one.predicted_bytes for one in plans):
        columns.append(("PLAN", [one.predicted_bytes for one in plans]))
    columns += [("FREE", [_free(one) for one in plans])]
    columns += [("TOTAL", [one.total_bytes for one in plans])]
    labels = [label(one.name) for one in plans]
    numbers = [[figure(value) for value in values] for _, values in columns]
    taken = max(map(len, ("DEVICE", *labels))) + sum(
        2 + max(map(len, (name, *texts))) for (name, _), texts in zip(columns, numbers, strict=True)
    )
    width = max(_NARROWEST, WIDTH - taken - 2)
    rows = [
        (name, bar(one, width, chars), *figures)
        for name, one, figures in zip(labels, plans, zip(*numbers, strict=True), strict=True)
    ]
    headers = ("DEVICE", "MEMORY", *(name for name, _ in columns))
    return f"{table(headers, rows, right=range(2, len(headers)))}\n{_legend(plans, chars)}"


def bar(one: DevicePlan, width: int, chars: Glyphs) -> str:
    """A device's memory in so many characters; what is there at all has at least one."""
    parts = (one.others_bytes, one.ours_bytes, one.predicted_bytes, _free(one))
    pieces = zip(chars, _COLOURS, shares(parts, width), strict=True)
    return "".join(
        style(char * count, fg=colour or None) for char, colour, count in pieces if count
    )


def label(name: str) -> str:
    """A device's name, short: ``GPU 0 (RTX 4090)``."""
    short = name.replace("NVIDIA ", "").replace("GeForce ", "")
    if short.startswith("CPU "):
        return "CPU"
    return short if len(short) <= _LONGEST_LABEL else f"{short[: _LONGEST_LABEL - 3]}..."


def figure(count_bytes: int, digits: int = 1) -> str:
    """GiB without the unit: ``22.1``; what is there and rounds to nothing is ``<0.1``."""
    gib = count_bytes / _GIB
    least = 10**-digits
    if 0 < gib < least / 2:
        return f"<{least:.{digits}f}"
    return f"{gib:,.{digits}f}"


def _free(one: DevicePlan) -> int:
    return max(0, one.total_bytes - one.others_bytes - one.ours_bytes - one.predicted_bytes)


def _legend(plans: Sequence[DevicePlan], chars: Glyphs) -> str:
    words = [f"{chars.others} others and reserve"]
    if any(one.ours_bytes for one in plans):
        words.append(f"{chars.ours} ours, running")
    if any(one.predicted_bytes for one in plans):
        words.append(f"{chars.plan} this plan")
    words.append(f"{chars.free} free")
    return style(f"{'   '.join(words)}   (numbers in GiB)", dim=True)
