"""API keys."""

from __future__ import annotations

from enum import StrEnum

from hydra_box.types.base import Frozen


class Scope(StrEnum):
    """What a key may do: call models, or manage the box."""

    INFERENCE = "inference"
    ADMIN = "admin"


class KeyLimits(Frozen, frozen=True, kw_only=True):
    """What a key may take; None: as much as there is."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    """Prompt and completion tokens."""
    concurrent_requests: int | None = None


class QuotaPeriod(StrEnum):
    """How long a quota lasts, in the box's own time zone; weeks begin on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"
    """For as long as there is the key."""


class TokenQuota(Frozen, frozen=True, kw_only=True):
    """How many tokens of public services a key may use."""

    tokens: int
    """Of prompts and answers."""
    period: QuotaPeriod = QuotaPeriod.TOTAL


class ApiKey(Frozen, frozen=True, kw_only=True):
    """A local API key, as stored: its secret is not in here, only the SHA-256 of it."""

    id: str
    """``key-`` and 12 hex digits."""
    name: str
    owner_id: str
    sha256: str
    """Of the whole key, hex."""
    masked: str
    """What may be shown: the first and the last four characters."""
    scopes: tuple[Scope, ...]
    created_at: float
    created_by: str = ""
    """Name of the key that made it; empty: the box's owner, who needed none."""
    last_used_at: float | None = None
    revoked_at: float | None = None
    disabled_at: float | None = None
    """Since when it is refused until it is enabled again."""
    expires_at: float | None = None
    """When it stops being valid; None: never."""
    models: tuple[str, ...] = ()
    """Globs over access names; empty: it may call whatever its owner may."""
    denied_models: tuple[str, ...] = ()
    """Globs over access names that it may not call, whatever ``models`` says."""
    limits: KeyLimits = KeyLimits()
    quota: TokenQuota | None = None
    previous_sha256: str | None = None
    """Of the secret before the last rotation."""
    previous_until: float | None = None
    """Until when that one still opens."""
