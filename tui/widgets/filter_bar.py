"""The line that ``/`` opens: what is typed leaves only the rows that have it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class FilterBar(Input):
    """Hidden until it is opened; Enter keeps the filter, escape drops it."""

    class Filtered(Message):
        """The words have changed."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    class Left(Message):
        """The keyboard goes back to the rows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "drop", "Drop filter"),
        Binding("enter,down", "leave", "To the rows"),
    ]

    def __init__(self) -> None:
        super().__init__(placeholder="filter: a part of any cell", compact=True, id="filter")
        self.display = False

    def open(self) -> None:
        """Show it, ready to type."""
        self.display = True
        self.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Each key press counts at once."""
        event.stop()
        self.post_message(self.Filtered(self.value.strip().casefold()))

    def action_leave(self) -> None:
        """Keep the filter, and go to the rows."""
        self.display = bool(self.value)
        self.post_message(self.Left())

    def action_drop(self) -> None:
        """Show everything again."""
        self.value = ""
        self.display = False
        self.post_message(self.Left())
