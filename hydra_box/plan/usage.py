"""What was used, from hours to the rows of a report.

The books are kept in hours of UTC, which are the same wherever the box stands; days, weeks and
months are those of its own time zone. An hour belongs to the one in which it begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, tzinfo

import msgspec

from hydra_box.types import Frozen

HOUR_SECONDS = 3600

Before = Callable[[datetime, int], datetime]
"""The start of the time that a moment lies in, or of the one so many times before it."""


class UsageHour(Frozen, frozen=True, kw_only=True):
    """What one key used of one service in one hour."""

    hour: int
    """Of UTC, since the epoch."""
    key_id: str
    """Empty: no key, by the box's owner."""
    key_name: str
    service_id: str
    access_name: str
    requests: int = 0
    failed_requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class UsageSum(Frozen, frozen=True, kw_only=True):
    """What one model or key used in one time."""

    at: float
    """The time's start, in seconds since the epoch."""
    id: str
    name: str = ""
    requests: int = 0
    failed_requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


def hour_start(moment: datetime, before: int = 0) -> datetime:
    """The start of an hour of UTC, also where the clocks differ from it by a half hour."""
    at = moment.timestamp() // HOUR_SECONDS * HOUR_SECONDS - before * HOUR_SECONDS
    return datetime.fromtimestamp(at, moment.tzinfo)


def day_start(moment: datetime, before: int = 0) -> datetime:
    """Midnight, or the first moment after it where the clocks skip it."""
    # Arithmetic is of the calendar here: a day may have 23 hours or 25.
    return moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0) - timedelta(before)


def week_start(moment: datetime, before: int = 0) -> datetime:
    """Monday's start."""
    return day_start(moment, moment.weekday() + 7 * before)


def month_start(moment: datetime, before: int = 0) -> datetime:
    """The start of the month's first day."""
    months = moment.year * 12 + moment.month - 1 - before
    return day_start(moment.replace(year=months // 12, month=months % 12 + 1, day=1))


def start_before(start: Before, now: float, before: int, zone: tzinfo) -> float:
    """The start of the time of ``now``, or of so many times before it, since the epoch."""
    return start(datetime.fromtimestamp(now, zone), before).timestamp()


def add_up(
    hours: Iterable[UsageHour], start: Before, zone: tzinfo, *, by_key: bool
) -> tuple[UsageSum, ...]:
    """Sums over each time and each key or access name, by time, then by name.

    A key has the name that it had last; an access name the id of the service that had it last.
    """
    sums: dict[tuple[float, str], UsageSum] = {}
    names: dict[str, tuple[str, str]] = {}
    starts: dict[int, float] = {}
    for one in sorted(hours, key=lambda hour: hour.hour):
        group = one.key_id if by_key else one.access_name
        names[group] = (one.key_id, one.key_name) if by_key else (one.service_id, one.access_name)
        if one.hour not in starts:
            starts[one.hour] = start_before(start, one.hour * HOUR_SECONDS, 0, zone)
        at = starts[one.hour]
        sums[at, group] = _plus(sums.get((at, group)) or UsageSum(at=at, id=group), one)
    named = (
        msgspec.structs.replace(one, id=names[one.id][0], name=names[one.id][1])
        for one in sums.values()
    )
    return tuple(sorted(named, key=lambda one: (one.at, one.name, one.id)))


def _plus(sum: UsageSum, hour: UsageHour) -> UsageSum:
    return UsageSum(
        at=sum.at,
        id=sum.id,
        requests=sum.requests + hour.requests,
        failed_requests=sum.failed_requests + hour.failed_requests,
        prompt_tokens=sum.prompt_tokens + hour.prompt_tokens,
        completion_tokens=sum.completion_tokens + hour.completion_tokens,
    )
