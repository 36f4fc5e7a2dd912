"""Where a question is typed: several lines, sent with Enter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

_NEW_LINE = ("shift+enter", "ctrl+j", "alt+enter")


class TrialField(TextArea):
    """Enter sends, shift+enter or ctrl+j makes a new line, up in an empty field recalls."""

    class Sent(Message):
        """Enter was pressed; the text stays until who gets this clears it."""

    class Scrolled(Message):
        """The conversation is to be moved, by so many pages."""

        def __init__(self, pages: int) -> None:
            super().__init__()
            self.pages = pages

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pageup", "page(-1)", "Scroll up", show=False),
        Binding("pagedown", "page(1)", "Scroll down", show=False),
        Binding("ctrl+shift+z", "redo", "Redo", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(
            id="field",
            compact=True,
            highlight_cursor_line=False,
            placeholder="Ask something. Enter sends, ctrl+j makes a new line.",
        )
        self._earlier: Sequence[str] = ()
        self._back = 0

    def remember(self, prompts: Sequence[str]) -> None:
        """What up recalls, oldest first."""
        self._earlier = prompts
        self._back = 0

    def put(self, text: str) -> None:
        """Have this text, with the cursor at its end."""
        self.load_text(text)
        self.move_cursor(self.document.end)

    def on_key(self, event: events.Key) -> None:
        """Keys that mean something else here than in other text areas."""
        if event.key == "enter":
            self.post_message(self.Sent())
        elif event.key in _NEW_LINE:
            self.insert("\n")
        elif event.key in ("up", "down") and self._may_recall():
            self._recall(1 if event.key == "up" else -1)
        else:
            return
        event.stop()
        event.prevent_default()

    def action_page(self, pages: int) -> None:
        """Move the conversation."""
        self.post_message(self.Scrolled(pages))

    def _may_recall(self) -> bool:
        """In an empty field, and in one that still has what was recalled."""
        if not self._earlier:
            return False
        return not self.text or (self._back > 0 and self.text == self._earlier[-self._back])

    def _recall(self, step: int) -> None:
        self._back = max(0, min(len(self._earlier), self._back + step if self.text else step))
        self.put(self._earlier[-self._back] if self._back else "")
