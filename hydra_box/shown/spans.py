"""Spans of time as they are typed and shown: ``90s``, ``15m``, ``2h``, ``1d``; or ``never``."""

from __future__ import annotations

import re
from typing import Final

NEVER: Final = "never"
_UNITS: Final = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_SPAN: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([smhd])", re.ASCII)


def seconds_of(text: str) -> float | None:
    """The seconds of a span; None: it is none."""
    found = _SPAN.fullmatch(text.strip().casefold())
    return float(found[1]) * _UNITS[found[2]] if found else None


def span(seconds: float | None) -> str:
    """To be read or typed again: in the largest unit that says it exactly; None is never."""
    if seconds is None:
        return NEVER
    for unit, length in _UNITS.items():
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:g}s"
