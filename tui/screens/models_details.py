"""Everything about one row, where a pane has no room for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.screens.base import Dialog


class DetailsDialog(Dialog):
    """Lines to read and to scroll; ``y`` copies what is named by ``copied``."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Copy", show=False),
        Binding("j", "step('down')", "Down", show=False),
        Binding("k", "step('up')", "Up", show=False),
        Binding("enter,q", "dismiss", "Close", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[Content], *, copied: tuple[str, str]) -> None:
        """Make it.

        Args:
            title: of the box.
            lines: what it says.
            copied: what ``y`` copies: what it is, and the text itself.
        """
        super().__init__()
        self._title = title
        self._lines = lines
        self._copied = copied

    def compose(self) -> ComposeResult:
        """One text."""
        with VerticalScroll(classes="dialog details") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = f"y: copy {self._copied[0]}   escape: close"
            yield Static(Content("\n").join(self._lines))

    def action_copy(self) -> None:
        """To the clipboard of whoever sits at the terminal."""
        what, text = self._copied
        self.app.copy_to_clipboard(text)
        self.notify(f"The {what} is copied: {text}", markup=False)

    def action_step(self, way: str) -> None:
        """A line down or up."""
        box = self.query_one(VerticalScroll)
        if way == "down":
            box.scroll_down()
        else:
            box.scroll_up()
