"""Usage, as it is reported."""

from __future__ import annotations

from enum import StrEnum

from hydra_box.types import Frozen


class UsageBy(StrEnum):
    """What usage is summed over."""

    MODEL = "model"
    """The access name that was called."""
    KEY = "key"


class UsagePer(StrEnum):
    """How long a time each row stands for, in the box's own time zone; weeks begin on Monday."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class UsageTotals(Frozen, frozen=True, kw_only=True):
    """Sums of requests and tokens."""

    requests: int = 0
    failed_requests: int = 0
    """Of ``requests``: those that ended in an error."""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class UsageRow(UsageTotals, frozen=True, kw_only=True):
    """What one model or key used in one hour, day, week or month."""

    at: float
    """Its start, in seconds since the epoch."""
    name: str
    """The access name, or the key's name; it outlives service and key."""
    id: str
    """The service's or the key's; empty: no key, by the box's owner."""


class UsageReport(Frozen, frozen=True, kw_only=True):
    """The answer of ``GET /api/v1/usage``."""

    by: UsageBy
    per: UsagePer
    since: float
    until: float
    rows: tuple[UsageRow, ...]
    """By ``at``, then by name; times without usage have none."""
    totals: UsageTotals
