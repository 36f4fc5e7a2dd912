"""How long a service may be idle, as one types it, and as it is shown: ``90s``, ``15m``, ``2h``."""

from __future__ import annotations

import re
from typing import Final

from hydra_box.errors import InvalidRequest

NEVER: Final = "never"
_UNITS: Final = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_SPAN: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([smhd])", re.ASCII)


def read_idle_timeout(text: str) -> float | None:
    """Seconds; None: it never falls asleep.

    Raises:
        InvalidRequest: it is none of what can be typed.

    """
    typed = text.strip().casefold()
    if typed in ("", NEVER):
        return None
    if not (found := _SPAN.fullmatch(typed)):
        raise InvalidRequest(
            f"{text.strip()!r} is no time",
            hint="type 90s, 15m, 2h, 1d or never",
            param="idle_timeout_seconds",
        )
    return float(found[1]) * _UNITS[found[2]]


def shown_idle_timeout(seconds: float | None) -> str:
    """The same, to be read or typed again: in the largest unit that says it exactly."""
    if seconds is None:
        return NEVER
    for unit, length in _UNITS.items():
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:g}s"
