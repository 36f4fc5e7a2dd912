"""What was used: from requests to spans of time, and from those to the rows of a report.

The books are kept in minutes, hours and days of UTC, which are the same wherever the box stands;
the days, weeks and months of a report and of a quota are those of its own time zone. A span
belongs to the one in which it begins, and a minute goes where its hour goes, so that a report does
not change when minutes become hours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple, TypeVar

import msgspec

from hydra_box.types import NANOS, Frozen, Outcome, Price, QuotaPeriod, RequestRecord

MINUTE_SECONDS = 60
HOUR_SECONDS = 3600
DAY_SECONDS = 86_400

PUBLIC = "public/"
"""What the access names of public services begin with: those count against a quota."""

OWNER = "(owner)"
"""The key's name where none was needed: the box's owner, over the management socket."""

NO_SERVICE = "(no service)"
"""The access name in rows of requests that were refused before it was known what they call."""

UNKNOWN = "(unknown)"
"""The user's name in rows that are older than users are in the books."""

_TOKENS_PER_PRICE = 1_000_000

Before = Callable[[datetime, int], datetime]
"""The start of the time that a moment lies in, or of the one so many times before it."""


class Counts(Frozen, frozen=True, kw_only=True):
    """What is added up; all of it whole numbers, so that sums are exact in any order."""

    requests: int = 0
    failed_requests: int = 0
    refused_requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nanos: int = 0
    energy_millijoules: int = 0


COUNTS = Counts.__struct_fields__

C = TypeVar("C", bound=Counts)


class UsedSpan(Counts, frozen=True, kw_only=True):
    """What one key used of one service in one minute, hour or day: a row of the books."""

    span_seconds: int
    start: int
    """In seconds since the epoch, a multiple of the span."""
    key_id: str
    """Empty: no key, by the box's owner."""
    key_name: str
    user_id: str
    user_name: str
    service_id: str
    access_name: str


class UsedTime(Counts, frozen=True, kw_only=True):
    """What one model, key, user or service used in one time: a row of a report."""

    at: float
    """The time's start, in seconds since the epoch."""
    id: str
    name: str = ""


class Member(NamedTuple):
    """Whose a row of a report is."""

    key: str
    """What tells it from the others."""
    id: str
    name: str


class QuotaUse(Frozen, frozen=True, kw_only=True):
    """Tokens of public services that a key has used in the present day, week, month, and ever."""

    day: int = 0
    week: int = 0
    month: int = 0
    total: int = 0


def cost_nanos(price: Price | None, prompt_tokens: int, completion_tokens: int) -> int:
    """What the tokens cost, in whole billionths of the box's unit of account, rounded half up.

    Of prices with up to three decimals nothing is rounded.
    """
    if price is None:
        return 0
    # A float's shortest text is the number that was typed, which the float itself seldom is.
    total = (
        Decimal(str(price.input_per_million)) * prompt_tokens
        + Decimal(str(price.output_per_million)) * completion_tokens
    )
    nanos = total * (NANOS // _TOKENS_PER_PRICE)
    return int(nanos.to_integral_value(ROUND_HALF_UP))


def minute_of(request: RequestRecord) -> UsedSpan:
    """A request as the row of its minute, key and service."""
    return UsedSpan(
        span_seconds=MINUTE_SECONDS,
        start=int(request.at // MINUTE_SECONDS) * MINUTE_SECONDS,
        key_id=request.key_id,
        key_name=request.key_name if request.key_id else OWNER,
        user_id=request.user_id,
        user_name=request.user_name,
        service_id=request.service_id,
        access_name=request.access_name,
        requests=1,
        failed_requests=int(request.outcome is Outcome.ENGINE_ERROR),
        refused_requests=int(request.outcome is Outcome.REFUSED),
        prompt_tokens=request.prompt_tokens,
        cached_tokens=request.cached_tokens,
        completion_tokens=request.completion_tokens,
        reasoning_tokens=request.reasoning_tokens,
        cost_nanos=request.cost_nanos,
        energy_millijoules=request.energy_millijoules,
    )


def minutes_of(requests: Iterable[RequestRecord]) -> list[UsedSpan]:
    """Requests as rows, one for each minute, key and service."""
    rows: dict[tuple[int, str, str], UsedSpan] = {}
    for request in requests:
        one = minute_of(request)
        key = (one.start, one.key_id, one.service_id)
        rows[key] = plus(one, rows[key]) if key in rows else one
    return list(rows.values())


def plus(one: C, other: Counts) -> C:
    """The first, with the counts of both."""
    sums = {name: getattr(one, name) + getattr(other, name) for name in COUNTS}
    return msgspec.structs.replace(one, **sums)


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


_QUOTA_STARTS: Mapping[QuotaPeriod, Before] = {
    QuotaPeriod.DAY: day_start,
    QuotaPeriod.WEEK: week_start,
    QuotaPeriod.MONTH: month_start,
}


def period_of(period: QuotaPeriod, now: float, zone: tzinfo) -> tuple[float, float]:
    """Start and end of the period that a moment lies in, since the epoch."""
    start = _QUOTA_STARTS.get(period)
    if start is None:
        return 0.0, math.inf
    return start_before(start, now, 0, zone), start_before(start, now, -1, zone)


def add_up(
    spans: Iterable[UsedSpan], start: Before, zone: tzinfo, member_of: Callable[[UsedSpan], Member]
) -> tuple[UsedTime, ...]:
    """Sums over each time and each member, by time, then by name.

    Each has the name that it had last; an access name the id of the service that had it last.
    """
    sums: dict[tuple[float, str], UsedTime] = {}
    last: dict[str, Member] = {}
    starts: dict[int, float] = {}
    for one in sorted(spans, key=lambda span: span.start):
        member = member_of(one)
        last[member.key] = member
        hour = one.start // HOUR_SECONDS * HOUR_SECONDS
        if hour not in starts:
            starts[hour] = start_before(start, hour, 0, zone)
        at = starts[hour]
        so_far = sums.get((at, member.key)) or UsedTime(at=at, id=member.key)
        sums[at, member.key] = plus(so_far, one)
    named = (
        msgspec.structs.replace(one, id=last[one.id].id, name=last[one.id].name)
        for one in sums.values()
    )
    return tuple(sorted(named, key=lambda one: (one.at, one.name, one.id)))


def by_model(span: UsedSpan) -> Member:
    """By the access name that was called, whichever service had it."""
    return Member(span.access_name, span.service_id, span.access_name)


def by_service(span: UsedSpan) -> Member:
    """By service, whatever its access name was."""
    return Member(span.service_id, span.service_id, span.access_name)


def by_key(span: UsedSpan) -> Member:
    """By key; all calls without one together."""
    return Member(span.key_id, span.key_id, span.key_name)


def by_user(span: UsedSpan) -> Member:
    """By who called."""
    return Member(span.user_id, span.user_id, span.user_name or UNKNOWN)


def all_together(span: UsedSpan) -> Member:  # noqa: ARG001 - one of several to choose from
    """As one."""
    return Member("", "", "all")
