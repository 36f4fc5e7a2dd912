"""From a report of usage to one bar an hour, day, week or month: also those without usage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final

from hydra_box.messages import UsagePer, UsageReport, UsageRow, UsageTotals
from hydra_box.shown.usage import add, tokens

_HOUR: Final = 3600
_DAY: Final = 86_400
_EAST_MOST: Final = 14 * _HOUR
"""No zone is further ahead of UTC."""
_LABELS: Final = {
    UsagePer.HOUR: "%H:%M",
    UsagePer.DAY: "%a %-d",
    UsagePer.WEEK: "%-d %b",
    UsagePer.MONTH: "%b",
}
_NAMES: Final = {
    UsagePer.HOUR: "%a %-d %b %H:%M",
    UsagePer.DAY: "%a %-d %b",
    UsagePer.WEEK: "week of %-d %b",
    UsagePer.MONTH: "%b %Y",
}


@dataclass(frozen=True)
class Bucket:
    """One hour, day, week or month of a report."""

    at: float
    label: str
    """Short, for an axis."""
    name: str
    """In full."""
    midnight: bool
    """A day begins with it."""
    sums: UsageTotals


def buckets(report: UsageReport, id: str | None = None) -> list[Bucket]:
    """Every time of the report, oldest first, with the sums of one id or of all."""
    calendar = calendar_of(report.per, report.since)
    starts = list(_starts(report, calendar))
    parts: list[list[UsageRow]] = [[] for _ in starts]
    for row in report.rows:
        if id is None or row.id == id:
            parts[_nearest(starts, row.at)].append(row)
    made = []
    for at, rows in zip(starts, parts, strict=True):
        local = calendar.local(at)
        midnight = not (local.hour or local.minute)
        label = _LABELS[UsagePer.DAY if midnight and report.per is UsagePer.HOUR else report.per]
        name = local.strftime(_NAMES[report.per])
        made.append(Bucket(at, local.strftime(label), name, midnight, add(rows)))
    return made


def by_id(rows: Iterable[UsageRow]) -> dict[str, tuple[str, UsageTotals]]:
    """Id to name and sums; who used most tokens is first."""
    parts: dict[str, list[UsageRow]] = {}
    for row in rows:
        parts.setdefault(row.id, []).append(row)
    sums = {id: (some[-1].name, add(some)) for id, some in parts.items()}
    return dict(
        sorted(sums.items(), key=lambda one: (-tokens(one[1][1]), -one[1][1].requests, one[1][0]))
    )


@dataclass(frozen=True)
class Calendar:
    """The box's days and months; ``zone`` None: they are those of who looks."""

    zone: timezone | None

    def local(self, at: float) -> datetime:
        """The wall clock there, without its zone."""
        moment = datetime.fromtimestamp(at, self.zone)
        return moment.replace(tzinfo=None)

    def at(self, local: datetime) -> float:
        """When a wall clock there shows that."""
        return local.replace(tzinfo=self.zone).timestamp()


def calendar_of(per: UsagePer, since: float) -> Calendar:
    """The calendar in which ``since`` begins a day, week or month.

    A box far away may have another zone, of which a report tells no more than its midnight.
    """
    here = Calendar(None)
    local = here.local(since)
    if per is UsagePer.HOUR or _begins(per, local):
        return here
    behind = since % _DAY
    east = -behind if behind <= _DAY - _EAST_MOST else _DAY - behind
    options = [east, east - _DAY if east > 0 else east + _DAY]
    for offset in options:
        if abs(offset) < _DAY:
            there = Calendar(timezone(timedelta(seconds=offset)))
            if _begins(per, there.local(since)):
                return there
    return here


def _begins(per: UsagePer, local: datetime) -> bool:
    """Whether a day, week or month begins then."""
    if local.hour or local.minute or local.second:
        return False
    if per is UsagePer.WEEK:
        return local.weekday() == 0
    return per is not UsagePer.MONTH or local.day == 1


def _starts(report: UsageReport, calendar: Calendar) -> Iterator[float]:
    local, number = calendar.local(report.since), 0
    at = report.since
    while at < report.until or not number:
        yield at
        number += 1
        if report.per is UsagePer.HOUR:
            at = report.since + number * _HOUR
        else:
            at = calendar.at(_LATER[report.per](local, number))


def _months(local: datetime, number: int) -> datetime:
    months = local.year * 12 + local.month - 1 + number
    return local.replace(year=months // 12, month=months % 12 + 1)


_LATER: Final[dict[UsagePer, Callable[[datetime, int], datetime]]] = {
    UsagePer.DAY: lambda local, number: local + timedelta(days=number),
    UsagePer.WEEK: lambda local, number: local + timedelta(weeks=number),
    UsagePer.MONTH: _months,
}


def _nearest(starts: Sequence[float], at: float) -> int:
    """Which of them it is: a change of the clocks there may move it by an hour or two."""
    return min(range(len(starts)), key=lambda index: abs(starts[index] - at))
