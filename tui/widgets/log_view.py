"""The lines of a log as they come: followed, searched, and only those that matter."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import ClassVar, Final

from textual.binding import BindingType
from textual.widgets import Log

from hydra_box.shown.text import harmless
from tui.log_lines import Level, is_shown
from tui.widgets.page import SCROLL_KEYS

LINES_KEPT: Final = 5000
_INDENT: Final = "    "


class LogView(Log, inherit_bindings=False):
    """Stays at the end while nobody has scrolled up."""

    BINDINGS: ClassVar[list[BindingType]] = SCROLL_KEYS

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(highlight=False, max_lines=LINES_KEPT, id=id)
        self._kept: deque[str] = deque(maxlen=LINES_KEPT)
        self._words = ""
        self._least = Level.ALL
        self._wrapped_at = 0

    def on_resize(self) -> None:
        """Lines are broken anew where there is another width for them."""
        if self._wrapped_at != self._room():
            self._show_again()

    @property
    def level(self) -> Level:
        """The least that a line must matter."""
        return self._least

    def add(self, lines: list[str]) -> None:
        """Lines that were printed now."""
        lines = [harmless(line.rstrip("\n").expandtabs(4)) for line in lines]
        self._kept.extend(lines)
        self._write(lines, to_end=self.is_vertical_scroll_end)

    def start_over(self) -> None:
        """Forget every line: those of another log come."""
        self._kept.clear()
        self.clear()

    def search(self, words: str) -> None:
        """Show only lines with these words; empty: all."""
        self._words = words
        self._show_again()

    def next_level(self) -> Level:
        """Show all, or only warnings and errors, or only errors; the one after the present."""
        self._least = self._least.next
        self._show_again()
        return self._least

    def _show_again(self) -> None:
        self.clear()
        self._write(self._kept, to_end=True)

    def _room(self) -> int:
        """Characters in a line, with the scroll bar there."""
        return max(20, self.size.width - self.scrollbar_size_vertical)

    def _write(self, lines: Iterable[str], *, to_end: bool) -> None:
        # Lines may still come while the screen of the view is taken away.
        if not self.is_attached:
            return
        width = self._room()
        self._wrapped_at = width
        shown = (line for line in lines if is_shown(line, self._words, self._least))
        self.write_lines([part for line in shown for part in wrapped(line, width)], to_end)


def wrapped(line: str, width: int) -> Iterator[str]:
    """A line in parts of at most ``width`` characters, those after the first indented."""
    yield line[:width]
    step = width - len(_INDENT)
    for start in range(width, len(line), step):
        yield f"{_INDENT}{line[start : start + step]}"
