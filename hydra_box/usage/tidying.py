"""What gets old: it is added up to hours, then days, and single requests are forgotten."""

from __future__ import annotations

from hydra_box.config import Settings
from hydra_box.plan.usage import DAY_SECONDS, HOUR_SECONDS, MINUTE_SECONDS
from hydra_box.store import Store


async def tidy(store: Store, keep: Settings, now: float) -> None:
    """Make hours of old minutes and days of old hours; forget single requests that are old.

    Args:
        store: where they are.
        keep: how long what is kept.
        now: the Unix time.

    """
    for span, into, days in (
        (MINUTE_SECONDS, HOUR_SECONDS, keep.usage_minutes_days),
        (HOUR_SECONDS, DAY_SECONDS, keep.usage_hours_days),
    ):
        # Only whole ones, so that nothing is added to one that a report has shown.
        before = int(now - days * DAY_SECONDS) // into * into
        await store.roll_up_usage(span, into, before)
    # Who is at its limit may be refused without end, and must not fill the disk with that.
    days = min(keep.usage_requests_days, keep.usage_minutes_days)
    await store.remove_requests(
        now - keep.usage_requests_days * DAY_SECONDS, now - days * DAY_SECONDS
    )
