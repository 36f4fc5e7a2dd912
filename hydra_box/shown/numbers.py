"""Sizes, counts, times and shares as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def size(count_bytes: float) -> str:
    """Bytes for people: ``3.7 MiB``."""
    for unit in _UNITS[:-1]:
        if count_bytes < 1024:
            return f"{count_bytes:.0f} {unit}" if unit == "B" else f"{count_bytes:.1f} {unit}"
        count_bytes /= 1024
    return f"{count_bytes:.1f} {_UNITS[-1]}"


def count(number: int, noun: str) -> str:
    """``1 instance``, ``2 instances``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """A time span in its two largest units: ``2 d 3 h``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def shares(parts: Sequence[int], width: int) -> list[int]:
    """``width`` divided as the parts are, each that is not zero at least 1, by largest remainder.

    Parts that are more than there is (a plan on top of memory that others took) shrink alike.
    """
    whole = sum(parts) or 1
    exact = [part * width / whole for part in parts]
    counts = [max(1, int(share)) if part else 0 for share, part in zip(exact, parts, strict=True)]
    by_remainder = sorted(range(len(parts)), key=lambda at: counts[at] - exact[at])
    while sum(counts) < width and any(parts):
        counts[by_remainder[0]] += 1
        by_remainder = by_remainder[1:] + by_remainder[:1]
    while sum(counts) > width:
        counts[counts.index(max(counts))] -= 1
    return counts
