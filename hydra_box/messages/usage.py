"""Usage, as it is reported."""

from __future__ import annotations

from enum import StrEnum

from hydra_box.types import Frozen


class UsageBy(StrEnum):
    """What usage is summed over."""

    MODEL = "model"
    """The access name that was called."""
    KEY = "key"
    USER = "user"
    """Who called."""
    SERVICE = "service"
    """The service, by its id: it has a line of its own also when its name is another's now."""
    ALL = "all"
    """Everything together."""


class UsagePer(StrEnum):
    """How long a time each row stands for, in the box's own time zone; weeks begin on Monday."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class UsageTotals(Frozen, frozen=True, kw_only=True):
    """Sums of requests and tokens, and what they cost and drew."""

    requests: int = 0
    failed_requests: int = 0
    """Of ``requests``: those that ended in an error."""
    refused_requests: int = 0
    """Of ``requests``: those that were not let in."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Of ``prompt_tokens``: those that an engine still had in its cache."""
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    """Of ``completion_tokens``, where the engine says so."""
    cost: float | None = None
    """In the box's unit of account, a whole number of billionths; None: nothing had a price."""
    energy_watt_hours: float | None = None
    """What GPUs drew for it, a whole number of millijoules; None: nothing was measured."""


class UsageRow(UsageTotals, frozen=True, kw_only=True):
    """What one model, key, user or service used in one hour, day, week or month."""

    at: float
    """Its start, in seconds since the epoch."""
    name: str
    """The access name, or the key's or the user's name; it outlives service, key and user."""
    id: str
    """The service's, the key's or the user's; empty: no key, by the box's owner, or everything."""


class UsageReport(Frozen, frozen=True, kw_only=True):
    """The answer of ``GET /api/v1/usage``."""

    by: UsageBy
    per: UsagePer
    since: float
    until: float
    currency: str = ""
    """What costs are in, if its owner has said it."""
    rows: tuple[UsageRow, ...]
    """By ``at``, then by name; times without usage have none."""
    totals: UsageTotals


class UsageFormat(StrEnum):
    """How single requests are exported."""

    JSON = "json"
    """An object whose ``rows`` has them, one on a line."""
    CSV = "csv"
    """A line with the names of the columns, then a line for each."""
