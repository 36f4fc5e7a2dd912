"""A chart of vertical bars in block characters, with a scale and labels; needs no colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from textual.content import Content
from textual.widget import Widget

from hydra_box.types import Frozen
from tui.words import short

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_STEPS: Final = len(_BLOCKS) - 1
_WIDEST_BAR: Final = 16
_LABEL_STEPS: Final = (1, 2, 3, 4, 6, 12, 24, 48)
_TOPS: Final = (2, 4, 6, 8, 10)
_AXIS_LINES: Final = 2
_LEAST_LINES: Final = 2


class Bar(Frozen, frozen=True, kw_only=True):
    """One bar."""

    label: str
    """What stands below it, where there is room."""
    value: int


class BarChart(Widget):
    """As large as its place; the oldest bars give way where there is too little room."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._bars: Sequence[Bar] = ()
        self._anchor = 0

    def show(self, bars: Sequence[Bar], *, anchor: int = -1) -> None:
        """Show these bars; every so manyth has its label, counted from the one at ``anchor``."""
        if (bars, anchor) != (self._bars, self._anchor):
            self._bars, self._anchor = bars, anchor
            self.refresh()

    def render(self) -> Content:
        """The chart in the room there is."""
        lines = chart(self._bars, *self.content_size, anchor=self._anchor)
        parts = (
            Content.assemble((scale, "$text-muted"), (bars, style)) for scale, bars, style in lines
        )
        return Content("\n").join(parts)


def chart(
    bars: Sequence[Bar], width: int, height: int, *, anchor: int = -1
) -> list[tuple[str, str, str]]:
    """Its lines from top to bottom, each as scale, bars and the bars' style."""
    # An even number of lines, so that the middle of the scale is at the edge of one.
    rows = (height - _AXIS_LINES) // 2 * 2
    top = scale_top(max((bar.value for bar in bars), default=0))
    margin = max(len(short(top)), len(short(top // 2))) + 1
    room = width - margin
    if not bars or rows < _LEAST_LINES or room < 1:
        return []
    skipped = max(0, len(bars) - room)
    anchor, bars = anchor % len(bars) - skipped, bars[skipped:]
    pitch = max(1, min(_WIDEST_BAR, room // len(bars)))
    scale = {rows - 1: f"{short(top)}┤", rows // 2 - 1: f"{short(top // 2)}┤"}
    lines = []
    for row in range(rows - 1, -1, -1):
        cells = (block(bar.value, top, rows, row) * max(1, pitch - 1) for bar in bars)
        text = "".join(f"{cell:<{pitch}}" for cell in cells)
        lines.append((f"{scale.get(row, '│'):>{margin}}", text, "$primary"))
    axis, labels = _below(bars, pitch, room, anchor)
    lines.append((f"{'0└':>{margin}}", axis, "$text-muted"))
    lines.append((" " * margin, labels, "$text-muted"))
    return lines


def _below(bars: Sequence[Bar], pitch: int, room: int, anchor: int) -> tuple[str, str]:
    """The axis, with a mark where a label is, and the labels."""
    step = label_step([bar.label for bar in bars], pitch)
    labelled = [at for at in range(len(bars)) if (at - anchor) % step == 0]
    marks = ("┬" if at in labelled else "─" for at in range(len(bars)))
    axis = "".join(f"{mark:─<{pitch}}" for mark in marks)
    return axis, label_line({at * pitch: bars[at].label for at in labelled}, room)


def scale_top(most: int) -> int:
    """The smallest of 2, 4, 6, 8, 10, 20, 40 ... that is not less; it has a whole half."""
    power = 1
    while True:
        for top in _TOPS:
            if most <= top * power:
                return top * power
        power *= 10


def block(value: int, top: int, rows: int, row: int) -> str:
    """The character of a bar in a row, counted from the bottom; what is there is seen."""
    eighths = max(1, round(value * rows * _STEPS / top)) if value else 0
    return _BLOCKS[max(0, min(_STEPS, eighths - row * _STEPS))]


def label_step(labels: Sequence[str], pitch: int) -> int:
    """Every how many bars a label has room, with a space after it."""
    need = max(map(len, labels), default=0) + 1
    return next((step for step in _LABEL_STEPS if step * pitch >= need), len(labels))


def label_line(labels: dict[int, str], width: int) -> str:
    """The labels at their columns; the last one moves to the left where it would be cut."""
    line = ""
    for column, label in labels.items():
        at = min(column, width - len(label))
        if at >= (len(line) + 1 if line else 0):
            line = f"{line:<{at}}{label}"
    return line
