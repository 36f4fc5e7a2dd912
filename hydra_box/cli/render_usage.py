"""What was used: a table of it, and a chart over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from hydra_box.cli.memory_bar import WIDTH, Glyphs
from hydra_box.cli.output import style, table
from hydra_box.messages import UsagePer, UsageReport, UsageRow, UsageTotals

_LABELS: Final = {
    UsagePer.HOUR: "%Y-%m-%d %H:%M",
    UsagePer.DAY: "%a %Y-%m-%d",
    UsagePer.WEEK: "%Y-%m-%d",
    UsagePer.MONTH: "%Y-%m",
}
_NARROWEST: Final = 8


def usage(report: UsageReport, chars: Glyphs) -> str:
    """One line a model or key, with their sum; below, one bar an hour, day, week or month."""
    if not report.rows:
        return f"nothing was used since {_time(report.since)}"
    return f"{_names(report)}\n\n{_chart(report, chars)}"


def _names(report: UsageReport) -> str:
    by_id: dict[str, list[UsageRow]] = {}
    for row in report.rows:
        by_id.setdefault(row.id, []).append(row)
    sums = [(rows[-1].name, _sum(rows)) for rows in by_id.values()]
    sums.sort(key=lambda one: (-_tokens(one[1]), -one[1].requests, one[0]))
    headers = (report.by.upper(), "REQUESTS", "FAILED", "PROMPT", "COMPLETION", "TOKENS")
    lines = [(name, *_figures(sum)) for name, sum in sums]
    total = [style(cell, bold=True) for cell in ("total", *_figures(report.totals))]
    return table(headers, [*lines, total], right=range(1, len(headers)))


def _chart(report: UsageReport, chars: Glyphs) -> str:
    by_time: dict[float, list[UsageRow]] = {}
    for row in report.rows:
        by_time.setdefault(row.at, []).append(row)
    sums = {at: _tokens(_sum(rows)) for at, rows in sorted(by_time.items())}
    labels = [_time(at, _LABELS[report.per]) for at in sums]
    figures = [f"{tokens:,}" for tokens in sums.values()]
    headers = (report.per.upper(), "", "TOKENS")
    taken = sum(
        max(map(len, (header, *cells)))
        for header, cells in zip(headers, (labels, (), figures), strict=True)
    )
    width = max(_NARROWEST, WIDTH - taken - 2 * (len(headers) - 1))
    bars = [_bar(tokens, max(sums.values()), width, chars) for tokens in sums.values()]
    rows = list(zip(labels, bars, figures, strict=True))
    return table(headers, rows, right=(2,))


def _bar(tokens: int, most: int, width: int, chars: Glyphs) -> str:
    """As long as the tokens are many; of what is there at all, at least one character."""
    length = max(1, tokens * width // most) if tokens else 0
    return style(chars.plan * length, fg="green")


def _sum(rows: Iterable[UsageTotals]) -> UsageTotals:
    rows = list(rows)
    names = UsageTotals.__struct_fields__
    return UsageTotals(**{name: sum(getattr(row, name) for row in rows) for name in names})


def _tokens(sum: UsageTotals) -> int:
    return sum.prompt_tokens + sum.completion_tokens


def _figures(sum: UsageTotals) -> Sequence[str]:
    numbers = (sum.requests, sum.failed_requests, sum.prompt_tokens, sum.completion_tokens)
    return [f"{number:,}" for number in (*numbers, _tokens(sum))]


def _time(at: float, form: str = "%Y-%m-%d %H:%M") -> str:
    """A moment in this machine's time zone."""
    return datetime.fromtimestamp(at).astimezone().strftime(form)
