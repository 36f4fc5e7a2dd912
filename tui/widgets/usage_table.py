"""What each model, key, user or service used, one line each, below the sum of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from textual.binding import Binding, BindingType

from hydra_box.messages import UsageReport, UsageTotals
from hydra_box.shown.text import harmless
from hydra_box.shown.usage import tokens, told_cost
from tui.widgets.live_table import Column, LiveTable, Row, Tinted
from tui.widgets.usage_buckets import by_id

ALL: Final = "all"
_PREFIX: Final = "id:"
_BAR: Final = 7

_COLUMNS: Final = (
    Column(id="name", title="NAME", width=14, stretches=True),
    Column(id="requests", title="REQUESTS", width=8, right=True),
    Column(id="failed", title="FAILED", width=7, right=True),
    Column(id="refused", title="REFUSED", width=7, from_width=100, right=True),
    Column(id="prompt", title="PROMPT", width=9, right=True),
    Column(id="completion", title="COMPLETION", width=10, right=True),
    Column(id="tokens", title="TOKENS", width=12, from_width=100, right=True),
    Column(id="cost", title="COST", width=10, from_width=120, right=True),
    Column(id="share", title="OF TOKENS", width=_BAR + 6),
)


def row_key(id: str) -> str:
    """The key of a row by the id of what it is about, which may be empty."""
    return f"{_PREFIX}{id}"


class UsageTable(LiveTable):
    """The cursor says whose bars the chart shows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # The screen's keys, which would move the cursor of any other table.
        Binding("k", "screen.by('key')", "By key", show=False),
        Binding("left", "screen.per_step(-1)", "Shorter times", show=False),
        Binding("right", "screen.per_step(1)", "Longer times", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(_COLUMNS, id="usage")

    @property
    def current_id(self) -> str | None:
        """Of what the cursor is on; None: all of them."""
        key = self.current_key
        return None if key is None or key == ALL else key.removeprefix(_PREFIX)

    def show_report(self, report: UsageReport) -> None:
        """The sums over the whole report."""
        total = report.totals
        rows = {ALL: _row(f"all {report.by}s", total, total)}
        for id, (name, sums) in by_id(report.rows).items():
            rows[row_key(id)] = _row(harmless(name), sums, total)
        self.show(rows)


def share(part: UsageTotals, whole: UsageTotals) -> tuple[str, int]:
    """A bar and percent of the tokens; of the requests, where no tokens were used."""
    measure = tokens if tokens(whole) else _requests
    most = measure(whole) or 1
    filled = round(measure(part) * _BAR / most)
    if measure(part):
        filled = max(1, filled)
    return "█" * filled + "░" * (_BAR - filled), round(measure(part) * 100 / most)


def _requests(sums: UsageTotals) -> int:
    return sums.requests


def _row(name: str, sums: UsageTotals, total: UsageTotals) -> Row:
    bar, percent = share(sums, total)
    failed = sums.failed_requests
    cells: Mapping[str, str | Tinted] = {
        "name": name,
        "requests": f"{sums.requests:,}",
        "failed": Tinted(text=f"! {failed:,}", tone="warning") if failed else "0",
        "refused": f"{sums.refused_requests:,}",
        "prompt": f"{sums.prompt_tokens:,}",
        "completion": f"{sums.completion_tokens:,}",
        "tokens": f"{tokens(sums):,}",
        "cost": told_cost(sums.cost) or "-",
        "share": Tinted(text=f"{bar} {percent:>3} %", tone="primary"),
    }
    return cells
