"""What was used, as it is asked for: sums over time, and single requests."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

import msgspec

from hydra_box.errors import InvalidRequest
from hydra_box.local_zone import LocalZone
from hydra_box.messages import UsageBy, UsagePer, UsageReport, UsageRow, UsageTotals
from hydra_box.plan import usage as plan
from hydra_box.plan.usage import DAY_SECONDS, HOUR_SECONDS, Counts, Member, UsedSpan, UsedTime
from hydra_box.store.requests import RequestsPage
from hydra_box.types import NANOS, RequestRecord
from hydra_box.usage.books import UsageBooks

LATEST = 10**11
"""A moment long after every other, in seconds."""

MILLIJOULES_PER_WATT_HOUR = 3_600_000
PAGE_REQUESTS = 1000
TWO_WEEKS_SECONDS = 14 * DAY_SECONDS

STARTS: Mapping[UsagePer, plan.Before] = {
    UsagePer.HOUR: plan.hour_start,
    UsagePer.DAY: plan.day_start,
    UsagePer.WEEK: plan.week_start,
    UsagePer.MONTH: plan.month_start,
}
SHOWN: Mapping[UsagePer, int] = {
    UsagePer.HOUR: 14 * 24,
    UsagePer.DAY: 14,
    UsagePer.WEEK: 12,
    UsagePer.MONTH: 12,
}
"""How many of them a report has, the present one too, unless it is asked for since a moment.

That is two weeks, but not of weeks and months: two of them would tell nobody anything.
"""

MEMBERS: Mapping[UsageBy, Callable[[UsedSpan], Member]] = {
    UsageBy.MODEL: plan.by_model,
    UsageBy.KEY: plan.by_key,
    UsageBy.USER: plan.by_user,
    UsageBy.SERVICE: plan.by_service,
    UsageBy.ALL: plan.all_together,
}


class UsageReports:
    """Reads the books.

    Args:
        books: what was used.
        currency: what costs are in.
        clock: Unix time.
        zone: of days, weeks and months.

    """

    def __init__(
        self,
        books: UsageBooks,
        *,
        currency: str = "",
        clock: Callable[[], float] = time.time,
        zone: tzinfo | None = None,
    ) -> None:
        self._books = books
        self._currency = currency
        self._clock = clock
        self._zone = zone or LocalZone()

    async def report(
        self, by: UsageBy, per: UsagePer, since: float | None, until: float | None
    ) -> UsageReport:
        """What was used from one moment to another, in whole hours.

        Args:
            by: what is summed over.
            per: the time of each row.
            since: in seconds since the epoch, of which the whole hour counts; None: so long ago
                that a chart is full.
            until: in seconds since the epoch; None: now.

        Raises:
            InvalidRequest: ``since`` is not before ``until``, or one of them is no moment.

        """
        until = self._until(until)
        if since is None:
            since = plan.start_before(STARTS[per], until, SHOWN[per] - 1, self._zone)
        else:
            since = _since(since, until) // HOUR_SECONDS * HOUR_SECONDS
        spans = await self._books.used(_whole_hours(since), _whole_hours(until))
        # A year of many keys takes a while, in which requests go on.
        times = await asyncio.to_thread(plan.add_up, spans, STARTS[per], self._zone, MEMBERS[by])
        return UsageReport(
            by=by,
            per=per,
            since=since,
            until=until,
            currency=self._currency,
            rows=tuple(_row(one) for one in times),
            totals=_totals(times),
        )

    async def requests(
        self, since: float | None, until: float | None, *, key: str | None, service: str | None
    ) -> AsyncGenerator[tuple[RequestRecord, ...], None]:
        """Single requests that ended from one moment to another, page after page, oldest first.

        Args:
            since: in seconds since the epoch; None: two weeks before ``until``.
            until: in seconds since the epoch; None: now.
            key: id or name of the key that sent them; None: any.
            service: name, access name or id of the service; None: any.

        Raises:
            InvalidRequest: ``since`` is not before ``until``, or one of them is no moment.
            HydraError: those that are in memory cannot be stored.

        """
        until = self._until(until)
        since = max(0.0, until - TWO_WEEKS_SECONDS) if since is None else _since(since, until)
        await self._books.flush()
        page = RequestsPage(
            after_at=since, until=until, key=key, service=service, limit=PAGE_REQUESTS
        )
        return self._pages(page)

    async def _pages(self, page: RequestsPage) -> AsyncGenerator[tuple[RequestRecord, ...], None]:
        while rows := await self._books.requests(page):
            yield tuple(request for _, request in rows)
            number, last = rows[-1]
            page = msgspec.structs.replace(page, after_at=last.at, after_number=number)

    def _until(self, until: float | None) -> float:
        return self._clock() if until is None else _moment("until", until)


def _row(used: UsedTime) -> UsageRow:
    return UsageRow(at=used.at, id=used.id, name=used.name, **_figures(used))


def _totals(times: Iterable[UsedTime]) -> UsageTotals:
    total = Counts()
    for one in times:
        total = plan.plus(total, one)
    return UsageTotals(**_figures(total))


def _figures(counts: Counts) -> dict[str, Any]:
    figures = {name: getattr(counts, name) for name in plan.COUNTS}
    nanos, millijoules = figures.pop("cost_nanos"), figures.pop("energy_millijoules")
    return figures | {
        "cost": nanos / NANOS if nanos else None,
        "energy_watt_hours": millijoules / MILLIJOULES_PER_WATT_HOUR if millijoules else None,
    }


def _whole_hours(at: float) -> int:
    """The start of the first hour that does not begin before the moment."""
    return math.ceil(at / HOUR_SECONDS) * HOUR_SECONDS


def _since(since: float, until: float) -> float:
    if _moment("since", since) >= until:
        raise InvalidRequest(
            f"since, {_date(since)}, is not before until, {_date(until)}",
            hint="until is now unless it is given (in the API, both are in seconds since 1970)",
            param="since",
        )
    return since


def _date(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def _moment(name: str, value: float) -> float:
    if not 0 <= value <= LATEST:
        raise InvalidRequest(
            f"{name} ({value:g}) is no moment", hint="give seconds since 1970", param=name
        )
    return value
