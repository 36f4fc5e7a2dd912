"""How long a service may be idle, as one types it."""

from __future__ import annotations

from hydra_box.errors import InvalidRequest
from hydra_box.shown.spans import NEVER, seconds_of


def read_idle_timeout(text: str) -> float | None:
    """Seconds; None: it never falls asleep.

    Raises:
        InvalidRequest: it is none of what can be typed.

    """
    if text.strip().casefold() in ("", NEVER):
        return None
    if (seconds := seconds_of(text)) is None:
        raise InvalidRequest(
            f"{text.strip()!r} is no time",
            hint="type 90s, 15m, 2h, 1d or never",
            param="idle_timeout_seconds",
        )
    return seconds
