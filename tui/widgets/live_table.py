"""A table that is told its rows again and again, and draws only what has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.coordinate import Coordinate
from textual.widgets import DataTable

from hydra_box.types import Frozen


class Column(Frozen, frozen=True, kw_only=True):
    """One column of a ``LiveTable``."""

    id: str
    title: str
    width: int
    """Characters; of a ``stretches`` column the least."""
    from_width: int = 0
    """It is there on screens at least so wide."""
    stretches: bool = False
    """It shares what room is left."""
    right: bool = False
    """Aligned to the right."""


class Tinted(Frozen, frozen=True, kw_only=True):
    """A cell in a colour of the theme; the text tells all without it."""

    text: str
    tone: str = ""
    """``success``, ``warning``, ``error``, ``primary``, ``accent``; ``dim``; empty: plain."""


Cell = str | Tinted
Row = Mapping[str, Cell]
"""Column id to cell."""


class LiveTable(DataTable[Text]):
    """Rows by key; the cursor stays on its row whatever comes and goes.

    Arrow keys and those of vi move the cursor, Enter selects.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("g", "scroll_top", "First", show=False),
        Binding("G", "scroll_bottom", "Last", show=False),
        Binding("ctrl+d", "page_down", "Page down", show=False),
        Binding("ctrl+u", "page_up", "Page up", show=False),
    ]

    def __init__(self, columns: Sequence[Column], *, id: str | None = None) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False, id=id)
        self._specs = columns
        self._shown: tuple[Column, ...] = ()
        self._widths: dict[str, int] = {}
        self._rows: dict[str, Row] = {}

    @property
    def current_key(self) -> str | None:
        """The key of the row that the cursor is on; None: there are no rows."""
        if not self.row_count or not self.is_valid_coordinate(self.cursor_coordinate):
            return None
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value

    def show(self, rows: Mapping[str, Row]) -> None:
        """Have exactly these rows, in this order."""
        if self._shown and list(rows) == list(self._rows):
            self._update(rows)
        else:
            self._rows = dict(rows)
            self._fill()

    def move_to(self, key: str) -> None:
        """Put the cursor on a row, if it is there."""
        if key in self._rows:
            self.move_cursor(row=self.get_row_index(key))

    def on_mount(self) -> None:
        """Colours are looked up when cells are made, so a new theme means new cells."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self._fill())

    def on_resize(self, event: events.Resize) -> None:
        """Columns come, go and stretch with the room there is."""
        shown = tuple(one for one in self._specs if one.from_width <= self.app.size.width)
        widths = self._fit(shown, event.size.width)
        if (shown, widths) != (self._shown, self._widths):
            self._shown, self._widths = shown, widths
            self._fill()

    def _fit(self, shown: Sequence[Column], room: int) -> dict[str, int]:
        taken = sum(one.width + 2 * self.cell_padding for one in shown)
        stretching = [one for one in shown if one.stretches]
        spare = max(0, room - taken - 1)
        share = spare // len(stretching) if stretching else 0
        return {one.id: one.width + (share if one.stretches else 0) for one in shown}

    def _update(self, rows: Mapping[str, Row]) -> None:
        for key, row in rows.items():
            before = self._rows[key]
            if row == before:
                continue
            for column in self._shown:
                cell = row[column.id]
                if cell != before[column.id]:
                    self.update_cell(key, column.id, self._text(column, cell))
        self._rows = dict(rows)

    def _fill(self) -> None:
        if not self._shown:
            return
        current, offset = self.current_key, self.scroll_offset
        index = self.cursor_row
        with self.app.batch_update():
            self.clear(columns=True)
            for column in self._shown:
                title = Text(column.title, justify="right" if column.right else "left")
                self.add_column(title, width=self._widths[column.id], key=column.id)
            for key, row in self._rows.items():
                self.add_row(*(self._text(one, row[one.id]) for one in self._shown), key=key)
            if self._rows:
                if current in self._rows:
                    index = list(self._rows).index(current)
                at = Coordinate(max(0, min(index, len(self._rows) - 1)), 0)
                self.move_cursor(row=at.row, scroll=False)
                self.scroll_to(offset.x, offset.y, animate=False)

    def _text(self, column: Column, cell: Cell) -> Text:
        text, tone = (cell, "") if isinstance(cell, str) else (cell.text, cell.tone)
        return Text(
            text,
            style=self._style(tone),
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
        )

    def _style(self, tone: str) -> Style:
        if not tone:
            return Style()
        if tone == "dim":
            return Style(dim=True)
        return Style(color=Color.parse(self.app.theme_variables[tone]).rich_color)
