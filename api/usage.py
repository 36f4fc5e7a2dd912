"""What was used."""

from __future__ import annotations

from litestar import get
from litestar.params import FromQuery

from api.wiring import BoxParam
from hydra_box.messages import UsageBy, UsagePer, UsageReport


@get("/usage")
async def usage(
    box: BoxParam,
    by: FromQuery[UsageBy] = UsageBy.MODEL,
    per: FromQuery[UsagePer] = UsagePer.DAY,
    since: FromQuery[float | None] = None,
    until: FromQuery[float | None] = None,
) -> UsageReport:
    """Requests and tokens of each model or key, in each hour, day, week or month.

    The times are those of the box's own time zone, and weeks begin on Monday. Without ``since``:
    the last 48 hours, 14 days, 12 weeks or 12 months. ``since`` and ``until`` are in seconds since
    the epoch, and counted in whole hours.
    """
    return await box.usage.report(by, per, since, until)
