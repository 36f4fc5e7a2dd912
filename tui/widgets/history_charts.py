"""The last hour of a service: tokens/s, requests, TTFT, queue, memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from textual.app import ComposeResult
from textual.containers import Grid
from textual.content import Content
from textual.widgets import Static

from hydra_box.messages import ServiceHistory, ServiceSample
from tui.words import gib, latency, short

HOUR_SECONDS: Final = 3600.0
_ROWS: Final = 4
_BLOCKS: Final = " ▁▂▃▄▅▆▇█"

Value = Callable[[ServiceSample], float | None]
Say = Callable[[float], str]


class HistoryCharts(Grid):
    """One small chart a figure, all over the same hour."""

    def compose(self) -> ComposeResult:
        """The charts, empty."""
        yield Chart("tokens/s", lambda one: one.tokens_per_second, short)
        yield Chart("requests ended in 10 s", lambda one: one.requests, mean)
        yield Chart("TTFT", lambda one: one.ttft_seconds, latency)
        yield Chart("requests in flight and waiting", _busy, mean)
        yield Chart("memory GiB", lambda one: one.memory_bytes, gib)

    def show(self, history: ServiceHistory) -> None:
        """Draw the samples."""
        for chart in self.query(Chart):
            chart.show(history)


def mean(number: float) -> str:
    """A mean of small numbers: one digit more than they have."""
    return f"{number:.1f}" if 0 < number < 9.95 else short(number)


def _busy(sample: ServiceSample) -> float:
    return sample.requests_in_flight + sample.requests_queued


class Chart(Static):
    """One figure over the last hour, as blocks; the newest at the right edge."""

    def __init__(self, title: str, value: Value, say: Say) -> None:
        super().__init__(classes="chart")
        self._title = title
        self._value = value
        self._say = say
        self._history: ServiceHistory | None = None

    def show(self, history: ServiceHistory) -> None:
        """Draw these."""
        self._history = history
        self._draw()

    def on_resize(self) -> None:
        """As wide as there is room."""
        self._draw()

    def _draw(self) -> None:
        history = self._history
        if history is None or self.size.width < 10:
            self.update(Content.styled(self._title, "bold"))
            return
        points = columns(history, self._value, self.size.width)
        known = [one for one in points if one is not None]
        last = self._say(known[-1]) if known else "none yet"
        top = max(known, default=0.0)
        head = Content.assemble(
            (self._title, "bold"), f"  now {last}, most {self._say(top) if known else '-'}"
        )
        lines = [Content.styled(line, "$primary") for line in draw(points, _ROWS)]
        axis = f"{'1 h ago':<{self.size.width - 3}}now"
        self.update(Content("\n").join([head, *lines, Content.styled(axis, "$text-muted")]))


def columns(history: ServiceHistory, value: Value, width: int) -> list[float | None]:
    """The hour in so many columns, each the mean of its samples; None: there were none.

    The columns hang on the newest sample, so that a chart moves only when a sample comes.
    """
    if not history.samples:
        return [None] * width
    span = HOUR_SECONDS / width
    end = history.samples[-1].at
    sums: list[list[float]] = [[] for _ in range(width)]
    for sample in history.samples:
        column = width - 1 - int((end - sample.at) / span)
        figure = value(sample)
        if column >= 0 and figure is not None:
            sums[column].append(figure)
    return [sum(one) / len(one) if one else None for one in sums]


def draw(points: Sequence[float | None], rows: int) -> Iterator[str]:
    """Blocks from the top line down, the highest point at the top; what is not zero shows."""
    top = max((one for one in points if one is not None), default=0.0)
    steps = len(_BLOCKS) - 1
    heights = [
        0 if not one or top <= 0 else max(1, round(one / top * rows * steps)) for one in points
    ]
    for row in reversed(range(rows)):
        yield "".join(_BLOCKS[max(0, min(steps, height - row * steps))] for height in heights)
