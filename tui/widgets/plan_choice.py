"""One of a few values on one line: the arrow keys go from one to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from hydra_box.types import Frozen


class Value(Frozen, frozen=True, kw_only=True):
    """One of the values, and how it is shown."""

    key: str | None
    """None: it is left to the plan, or stays as it is."""
    text: str


AUTO: Final = Value(key=None, text="auto")
"""Left to the plan."""


class Choice(Static, can_focus=True):
    """``◂ auto ▸``; a click goes to the next."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l,space,enter", "step(1)", "Next value", show=False),
        Binding("left,h", "step(-1)", "Value before", show=False),
    ]

    class Changed(Message):
        """Somebody chose another value."""

        def __init__(self, choice: Choice) -> None:
            super().__init__()
            self.choice = choice

        @property
        def control(self) -> Choice:
            """Whose value it is."""
            return self.choice

    def __init__(self, values: Sequence[Value], *, id: str) -> None:
        super().__init__(id=id)
        self._values = list(values)
        self._at = 0
        self._planned = ""

    @property
    def value(self) -> str | None:
        """The chosen one's key."""
        return self._values[self._at].key

    def put(self, key: str | None) -> None:
        """Choose, and tell nobody; a value that is not there yet is added."""
        keys = [one.key for one in self._values]
        if key not in keys:
            self._values.append(Value(key=key, text=key or AUTO.text))
            keys.append(key)
        self._at = keys.index(key)
        self._show()

    def offer(self, values: Sequence[Value]) -> None:
        """Have these values instead; the chosen one stays, if it is among them."""
        before = self.value
        self._values = list(values)
        keys = [one.key for one in self._values]
        self._at = keys.index(before) if before in keys else 0
        self._show()

    def tell_planned(self, text: str) -> None:
        """What the plan chose, shown while the choice is left to it."""
        self._planned = text
        self._show()

    def on_mount(self) -> None:
        """Show the first."""
        self._show()

    def on_click(self) -> None:
        """The mouse's way to the next."""
        self.action_step(1)

    def action_step(self, by: int) -> None:
        """To another value; after the last comes the first."""
        self._at = (self._at + by) % len(self._values)
        self._show()
        self.post_message(self.Changed(self))

    def _show(self) -> None:
        one = self._values[self._at]
        planned = f": {self._planned}" if one == AUTO and self._planned else ""
        self.update(Content.assemble(("◂ ", "dim"), f"{one.text}{planned}", (" ▸", "dim")))
