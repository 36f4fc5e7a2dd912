"""Whether a screen is seen, so that it has to be drawn."""

from __future__ import annotations

from typing import Any

from textual.screen import ModalScreen, Screen


def is_seen(screen: Screen[Any]) -> bool:
    """On top, or below nothing but boxes."""
    stack = screen.app.screen_stack
    if screen not in stack:
        return False
    return all(isinstance(above, ModalScreen) for above in stack[stack.index(screen) + 1 :])
