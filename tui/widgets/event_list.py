"""What happened, newest at the end."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import ClassVar, Final

from textual.binding import BindingType
from textual.widgets import Log

from hydra_box.shown.text import harmless
from hydra_box.types import Event
from tui.widgets.page import SCROLL_KEYS
from tui.words import SEVERITY_MARKS

_KEPT: Final = 1000


class EventList(Log, inherit_bindings=False):
    """A line an event: when, how bad, what."""

    BINDINGS: ClassVar[list[BindingType]] = SCROLL_KEYS

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(highlight=False, max_lines=_KEPT, id=id)
        self._ids: set[int] = set()

    def show(self, events: Iterable[Event]) -> None:
        """Have exactly these events."""
        self.clear()
        self._ids.clear()
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        """One more, unless it is there already."""
        if event.id in self._ids:
            return
        self._ids.add(event.id)
        at = time.strftime("%m-%d %H:%M:%S", time.localtime(event.at))
        text = harmless(event.message).replace("\n", " ")
        self.write_line(f"{at} {SEVERITY_MARKS[event.severity]} {text}")
