"""The line that ``/`` opens: what is typed leaves only the rows that have it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input

TYPING_SECONDS = 0.1
"""After the last key press, before the rows change."""


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

    def __init__(self, placeholder: str = "filter: a part of any cell") -> None:
        super().__init__(placeholder=placeholder, compact=True, id="filter")
        self.display = False
        self._soon: Timer | None = None

    def open(self) -> None:
        """Show it, ready to type."""
        self.display = True
        self.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Hundreds of rows take a moment to change, and typing must not wait for them."""
        event.stop()
        if self._soon is not None:
            self._soon.stop()
        self._soon = self.set_timer(TYPING_SECONDS, self._tell)

    def action_leave(self) -> None:
        """Keep the filter, and go to the rows."""
        self._tell()
        self.display = bool(self.value)
        self.post_message(self.Left())

    def action_drop(self) -> None:
        """Show everything again."""
        self.value = ""
        self._tell()
        self.display = False
        self.post_message(self.Left())

    def _tell(self) -> None:
        if self._soon is not None:
            self._soon.stop()
        self.post_message(self.Filtered(self.value.strip().casefold()))
