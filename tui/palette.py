"""The console's own themes: the one place where colours are named."""

from __future__ import annotations

from typing import Final

from textual.theme import Theme

DARK: Final = Theme(
    name="hydra-dark",
    primary="#3fb8af",
    secondary="#7a9fd4",
    accent="#f2b84b",
    foreground="#d7dde4",
    background="#11151a",
    surface="#161b22",
    panel="#1f2630",
    success="#6cc070",
    warning="#e8b04a",
    error="#ef6b62",
    dark=True,
    variables={"block-cursor-text-style": "bold", "footer-key-foreground": "#f2b84b"},
)

LIGHT: Final = Theme(
    name="hydra-light",
    primary="#0b6e69",
    secondary="#2f5f9e",
    accent="#9a5b00",
    foreground="#1c2126",
    background="#fbfaf7",
    surface="#f3f1ec",
    panel="#e6e3db",
    success="#1f7a33",
    warning="#8a5a00",
    error="#b3261e",
    dark=False,
    variables={"block-cursor-text-style": "bold", "footer-key-foreground": "#9a5b00"},
)

CONTRAST: Final = Theme(
    name="hydra-contrast",
    primary="#ffff00",
    secondary="#00ffff",
    accent="#ffff00",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1a1a1a",
    success="#00ff00",
    warning="#ffff00",
    error="#ff8080",
    dark=True,
    variables={
        "block-cursor-text-style": "bold reverse",
        "border": "#ffffff",
        "text-muted": "#ffffff",
        "footer-key-foreground": "#ffff00",
    },
)

THEMES: Final = (DARK, LIGHT, CONTRAST)
"""Beside those that Textual has; ``textual-ansi`` keeps the terminal's own 16 colours."""
