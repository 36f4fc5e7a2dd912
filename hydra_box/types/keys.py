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
    last_used_at: float | None = None
    revoked_at: float | None = None
    expires_at: float | None = None
    """When it stops being valid; None: never."""
    models: tuple[str, ...] = ()
    """Globs over access names; empty: it may call whatever its owner may."""
    limits: KeyLimits = KeyLimits()
