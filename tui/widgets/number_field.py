"""A field for a whole number, which leaves some letters to the screen."""

from __future__ import annotations

from textual import events
from textual.validation import Integer
from textual.widgets import Input


class NumberField(Input):
    """Digits and a sign; the ``commands`` are keys of the screen, not text."""

    def __init__(self, value: str, *, id: str, least: int, most: int, commands: str = "") -> None:
        super().__init__(
            value, id=id, type="integer", compact=True, validators=[Integer(least, most)]
        )
        self._commands = commands

    def on_key(self, event: events.Key) -> None:
        """Let the screen's keys go by."""
        if event.character is not None and event.character in self._commands:
            event.prevent_default()

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Whether a key is typed into the field."""
        if character is not None and character in self._commands:
            return False
        return super().check_consume_key(key, character)
