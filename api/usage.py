"""What was used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from litestar import get
from litestar.params import FromQuery

from api.streaming import Streamed
from api.wiring import BoxParam
from hydra_box.events import EventBus
from hydra_box.messages import UsageBy, UsageFormat, UsagePer, UsageReport
from hydra_box.shown import csv_rows
from hydra_box.types import RequestRecord

CSV = "text/csv; charset=utf-8"
JSON = "application/json"

Pages = AsyncGenerator[tuple[RequestRecord, ...], None]


@get("/usage")
async def usage(
    box: BoxParam,
    by: FromQuery[UsageBy] = UsageBy.MODEL,
    per: FromQuery[UsagePer] = UsagePer.DAY,
    since: FromQuery[float | None] = None,
    until: FromQuery[float | None] = None,
) -> UsageReport:
    """What each model, key, user or service used, or all together, over time.

    There are rows for each hour, day, week or month of the box's own time zone; weeks begin on
    Monday. Without ``since``: the last two weeks in hours or days, 12 weeks, or 12 months.
    ``since`` and ``until`` are in seconds since the epoch, and counted in whole hours; what is
    older than the setting ``usage_hours_days`` is counted in whole days of UTC.
    """
    return await box.reports.report(by, per, since, until)


@get("/usage/requests", media_type=JSON)
async def usage_requests(
    box: BoxParam,
    format: FromQuery[UsageFormat] = UsageFormat.JSON,
    since: FromQuery[float | None] = None,
    until: FromQuery[float | None] = None,
    key: FromQuery[str | None] = None,
    service: FromQuery[str | None] = None,
) -> Streamed:
    """Single requests, in the order in which they ended.

    They end from ``since`` to before ``until``, in seconds since the epoch; without ``since``, in
    two weeks. ``key`` is the id or name of a key, ``service`` the name, access name or id of a
    service; both may be gone. As JSON: an object whose ``rows`` has a request on each line; as CSV:
    the names of the columns, then a line for each. They are kept for the setting
    ``usage_requests_days``. An answer that is cut off is no complete answer of HTTP.
    """
    pages = await box.reports.requests(since, until, key=key, service=service)
    as_csv = format is UsageFormat.CSV
    # Not stopped with the box's streams, which end well: what is cut off must not look whole.
    return Streamed(
        _csv(pages) if as_csv else _json(pages),
        media_type=CSV if as_csv else JSON,
        stopped_by=EventBus(),
    )


async def _csv(pages: Pages) -> AsyncGenerator[bytes, None]:
    yield csv_rows.header(RequestRecord).encode()
    async with aclosing(pages):
        async for page in pages:
            yield (await asyncio.to_thread(csv_rows.lines, page)).encode()


async def _json(pages: Pages) -> AsyncGenerator[bytes, None]:
    before = b'{"rows":[\n'
    async with aclosing(pages):
        async for page in pages:
            yield before + b",\n".join(map(msgspec.json.encode, page))
            before = b",\n"
    # Without any request the list has not begun yet.
    yield b"\n]}\n" if before == b",\n" else before + b"]}\n"
