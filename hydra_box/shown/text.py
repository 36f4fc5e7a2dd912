"""Text from elsewhere, fit for a terminal."""

from __future__ import annotations

from typing import Final

_CONTROLS: Final = dict.fromkeys(
    (code for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"),
    "\N{REPLACEMENT CHARACTER}",
)


def harmless(text: str) -> str:
    """Text of a model, an engine or the hub, without what could steer a terminal."""
    return text.translate(_CONTROLS)
