"""What was used: a table of it, and a chart over time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from hydra_box.cli.memory_bar import WIDTH, Glyphs
from hydra_box.cli.output import style, table
from hydra_box.messages import UsageBy, UsagePer, UsageReport, UsageRow, UsageTotals
from hydra_box.shown.usage import add, tokens, told_cost, told_energy

_LABELS: Final = {
    UsagePer.HOUR: "%Y-%m-%d %H:%M",
    UsagePer.DAY: "%a %Y-%m-%d",
    UsagePer.WEEK: "%Y-%m-%d",
    UsagePer.MONTH: "%Y-%m",
}
_NARROWEST: Final = 8


class _Column(NamedTuple):
    title: str
    cell: Callable[[UsageTotals], str]
    always: bool = True
    """Else it is there only where a total has something of it."""


def usage(report: UsageReport, chars: Glyphs) -> str:
    """One line a model, key, user or service, or a time if it is of all; their sum; a chart."""
    if not report.rows:
        return f"nothing was used since {_time(report.since)}"
    return f"{_sums(report)}\n\n{_chart(report, chars)}"


def _sums(report: UsageReport) -> str:
    columns = _columns(report)
    named: Sequence[tuple[str, UsageTotals]] = _named(report.rows)
    title: str = report.by
    if report.by is UsageBy.ALL:
        named, title = [(_label(report, row.at), row) for row in report.rows], report.per
    lines = [(name, *(one.cell(sum) for one in columns)) for name, sum in named]
    total = ("total", *(one.cell(report.totals) for one in columns))
    headers = (title.upper(), *(one.title for one in columns))
    bold = [style(cell, bold=True) for cell in total]
    return table(headers, [*lines, bold], right=range(1, len(headers)))


def _named(rows: Iterable[UsageRow]) -> list[tuple[str, UsageTotals]]:
    """The sums of every id, by its last name; who used most tokens is first."""
    by_id: dict[str, list[UsageRow]] = {}
    for row in rows:
        by_id.setdefault(row.id, []).append(row)
    sums = [(some[-1].name, add(some)) for some in by_id.values()]
    return sorted(sums, key=lambda one: (-tokens(one[1]), -one[1].requests, one[0]))


def _columns(report: UsageReport) -> list[_Column]:
    cost = f"COST {report.currency}".rstrip()
    columns = (
        _Column("REQUESTS", lambda one: f"{one.requests:,}"),
        _Column("FAILED", lambda one: f"{one.failed_requests:,}"),
        _Column("REFUSED", lambda one: f"{one.refused_requests:,}", always=False),
        _Column("PROMPT", lambda one: f"{one.prompt_tokens:,}"),
        _Column("CACHED", lambda one: f"{one.cached_tokens:,}", always=False),
        _Column("COMPLETION", lambda one: f"{one.completion_tokens:,}"),
        _Column("TOKENS", lambda one: f"{tokens(one):,}"),
        _Column(cost, lambda one: told_cost(one.cost), always=False),
        _Column("WH", lambda one: told_energy(one.energy_watt_hours), always=False),
    )
    return [one for one in columns if one.always or one.cell(report.totals) not in ("", "0")]


def _chart(report: UsageReport, chars: Glyphs) -> str:
    by_time: dict[float, list[UsageRow]] = {}
    for row in report.rows:
        by_time.setdefault(row.at, []).append(row)
    sums = {at: tokens(add(rows)) for at, rows in sorted(by_time.items())}
    labels = [_label(report, at) for at in sums]
    figures = [f"{used:,}" for used in sums.values()]
    headers = (report.per.upper(), "", "TOKENS")
    taken = sum(
        max(map(len, (header, *cells)))
        for header, cells in zip(headers, (labels, (), figures), strict=True)
    )
    width = max(_NARROWEST, WIDTH - taken - 2 * (len(headers) - 1))
    bars = [_bar(used, max(sums.values()), width, chars) for used in sums.values()]
    rows = list(zip(labels, bars, figures, strict=True))
    return table(headers, rows, right=(2,))


def _bar(used: int, most: int, width: int, chars: Glyphs) -> str:
    """As long as the tokens are many; of what is there at all, at least one character."""
    length = max(1, used * width // most) if used else 0
    return style(chars.plan * length, fg="green")


def _label(report: UsageReport, at: float) -> str:
    return _time(at, _LABELS[report.per])


def _time(at: float, form: str = "%Y-%m-%d %H:%M") -> str:
    """A moment in this machine's time zone."""
    return datetime.fromtimestamp(at).astimezone().strftime(form)
