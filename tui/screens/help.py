"""The keys of the screen below, and those that work everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import HorizontalGroup, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from tui.screens.base import Dialog

_EVERYWHERE = (
    ("1 to 6", "the sections above"),
    ("↑↓ or jk", "move; g, G: first, last"),
    ("enter", "open, choose"),
    ("tab", "to the next field"),
    ("esc", "back; nothing is lost"),
    ("^p", "every command, by name"),
    ("^t", "the next theme"),
    ("^s", "start a daemon, if lost"),
    ("^q", "quit, also while typing"),
)
_TEXTUAL = frozenset(("tab", "shift+tab", "ctrl+c", "super+c"))
"""Keys that every Textual screen has."""


class HelpScreen(Dialog):
    """Made for one screen: it lists what can be pressed there now."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1,q", "dismiss", "Close", show=False)
    ]

    def __init__(self, below: Screen[Any]) -> None:
        super().__init__()
        self._here = list(_bindings(below))
        self._title = getattr(below, "TITLE_TEXT", "") or "this screen"

    def compose(self) -> ComposeResult:
        """Two lists of keys."""
        with HorizontalGroup(classes="dialog", id="help") as box:
            box.border_title = "Keys"
            box.border_subtitle = "escape: close"
            for title, keys in ((self._title, self._here), ("Everywhere", _EVERYWHERE)):
                with VerticalScroll(can_focus=False):
                    yield Static(Content.styled(title, "bold"))
                    yield Static(_table(keys))


def _bindings(screen: Screen[Any]) -> Iterator[tuple[str, str]]:
    """Key and description of what works on the screen now, and is not told below."""
    seen = set()
    for active in screen.active_bindings.values():
        binding = active.binding
        everywhere = binding.action in ("back", "dismiss")
        # A part of the screen may have keys of its own, which its footer shows, too.
        ours = type(active.node).__module__.startswith("tui.widgets.") and binding.show
        if not (active.node is screen or ours) or everywhere or binding.key in _TEXTUAL:
            continue
        if binding.description in seen:
            continue
        seen.add(binding.description)
        yield screen.app.get_key_display(binding), binding.tooltip or binding.description


def _table(pairs: Sequence[tuple[str, str]]) -> Content:
    width = max((len(key) for key, _ in pairs), default=0)
    return Content("\n").join(
        Content.assemble((f" {key:<{width}}", "$accent"), f" {text}") for key, text in pairs
    )
