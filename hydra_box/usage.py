"""What was used, by whom, of what: the one writer of it, and the reports.

Requests are added in memory and written in batches, so that no request waits for the disk. What
is still in memory counts in a report.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import tzinfo

import msgspec

from hydra_box.errors import HydraError, InvalidRequest
from hydra_box.local_zone import LocalZone
from hydra_box.messages import UsageBy, UsagePer, UsageReport, UsageRow, UsageTotals
from hydra_box.plan import usage as plan
from hydra_box.plan.usage import HOUR_SECONDS, UsageHour
from hydra_box.store import Store
from hydra_box.types import Outcome, RequestRecord

log = logging.getLogger(__name__)

WRITE_SECONDS = 2.0
"""From a request's end to its being written."""

RETRY_SECONDS = 30.0
"""After a write that failed."""

OWNER = "(owner)"
"""The key's name where none was needed: the box's owner, over the management socket."""

LATEST = 10**11
"""A moment long after every other, in seconds."""

STARTS: Mapping[UsagePer, plan.Before] = {
    UsagePer.HOUR: plan.hour_start,
    UsagePer.DAY: plan.day_start,
    UsagePer.WEEK: plan.week_start,
    UsagePer.MONTH: plan.month_start,
}
SHOWN: Mapping[UsagePer, int] = {
    UsagePer.HOUR: 48,
    UsagePer.DAY: 14,
    UsagePer.WEEK: 12,
    UsagePer.MONTH: 12,
}
"""How many of them a report has, the present one too, unless it is asked for since a moment."""

_Key = tuple[int, str, str]


class UsageBooks:
    """Adds up what each key used of each service, hour by hour."""

    def __init__(
        self, store: Store, *, clock: Callable[[], float] = time.time, zone: tzinfo | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._zone = zone or LocalZone()
        self._pending: dict[_Key, UsageHour] = {}
        """What the store does not have yet."""
        self._writing = asyncio.Lock()
        self._writer: asyncio.Task[None] | None = None

    def record(self, finished: RequestRecord) -> None:
        """Add a request that is over; it is written soon."""
        self._add(
            UsageHour(
                hour=int(self._clock() // HOUR_SECONDS),
                key_id=finished.key_id,
                key_name=finished.key_name if finished.key_id else OWNER,
                service_id=finished.service_id,
                access_name=finished.access_name,
                requests=1,
                failed_requests=int(finished.outcome is Outcome.ENGINE_ERROR),
                prompt_tokens=finished.prompt_tokens,
                completion_tokens=finished.completion_tokens,
            )
        )
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_soon())

    async def flush(self) -> None:
        """Write what the store does not have yet."""
        async with self._writing:
            taken, self._pending = self._pending, {}
            if not taken:
                return
            try:
                await self._store.add_usage(taken.values())
            except Exception:
                for one in taken.values():
                    self._add(one)
                raise

    async def close(self) -> None:
        """Write the rest; nothing is recorded after it."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait([self._writer])
        await self.flush()

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
        until = self._clock() if until is None else _moment("until", until)
        if since is None:
            since = plan.start_before(STARTS[per], until, SHOWN[per] - 1, self._zone)
        elif _moment("since", since) >= until:
            raise InvalidRequest(
                f"since ({since:.0f}) is not before until ({until:.0f})",
                hint="both are in seconds since 1970, and until is now unless it is given",
                param="since",
            )
        else:
            since = since // HOUR_SECONDS * HOUR_SECONDS
        hours = await self._hours(_hours_until(since), _hours_until(until) - 1)
        # A year of many keys takes a while, in which requests go on.
        sums = await asyncio.to_thread(
            plan.add_up, hours, STARTS[per], self._zone, by_key=by is UsageBy.KEY
        )
        rows = tuple(UsageRow(**msgspec.structs.asdict(one)) for one in sums)
        return UsageReport(
            by=by, per=per, since=since, until=until, rows=rows, totals=_totals(rows)
        )

    async def _hours(self, first: int, last: int) -> list[UsageHour]:
        # Nothing is on its way between memory and disk meanwhile, so each request counts once.
        async with self._writing:
            stored = await self._store.usage(first, last)
            pending = [one for one in self._pending.values() if first <= one.hour <= last]
        return stored + pending

    def _add(self, one: UsageHour) -> None:
        key = (one.hour, one.key_id, one.service_id)
        before = self._pending.get(key)
        self._pending[key] = one if before is None else _sum(before, one)

    async def _write_soon(self) -> None:
        pause = WRITE_SECONDS
        while self._pending:
            await asyncio.sleep(pause)
            try:
                await self.flush()
                pause = WRITE_SECONDS
            except HydraError:
                log.exception("usage could not be stored; that is tried again")
                pause = RETRY_SECONDS
        self._writer = None


def _sum(one: UsageHour, other: UsageHour) -> UsageHour:
    return msgspec.structs.replace(
        other,
        requests=one.requests + other.requests,
        failed_requests=one.failed_requests + other.failed_requests,
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
    )


def _totals(rows: Iterable[UsageRow]) -> UsageTotals:
    names = UsageTotals.__struct_fields__
    return UsageTotals(**{name: sum(getattr(row, name) for row in rows) for name in names})


def _hours_until(at: float) -> int:
    """The first hour that does not begin before the moment."""
    return math.ceil(at / HOUR_SECONDS)


def _moment(name: str, value: float) -> float:
    if not 0 <= value <= LATEST:
        raise InvalidRequest(
            f"{name} ({value:g}) is no moment", hint="give seconds since 1970", param=name
        )
    return value
