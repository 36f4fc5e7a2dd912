"""API keys, as they are made, changed and listed."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from hydra_box.messages.base import Request
from hydra_box.types import Frozen, KeyLimits, Scope, TokenQuota


class CreateKeyRequest(Request, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/keys``."""

    name: str
    user: str | None = None
    """Name or id of the user whose key it is; None: the box's owner."""
    scopes: tuple[Scope, ...] = (Scope.INFERENCE,)
    expires_at: float | None = None
    """Seconds since the epoch; None: never."""
    models: tuple[str, ...] = ()
    """Globs over access names, ``public/*``: it may call what one of them matches; empty: all."""
    denied_models: tuple[str, ...] = ()
    """Globs over access names that it may not call, whatever ``models`` says."""
    limits: KeyLimits = KeyLimits()
    quota: TokenQuota | None = None
    """Of the tokens of public services."""


class EditKeyRequest(Request, frozen=True, kw_only=True):
    """Body of ``PATCH /api/v1/keys/{name}``: what is not given stays; null takes it away."""

    name: str | UnsetType = UNSET
    scopes: tuple[Scope, ...] | UnsetType = UNSET
    expires_at: float | UnsetType | None = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    denied_models: tuple[str, ...] | UnsetType = UNSET
    requests_per_minute: int | UnsetType | None = UNSET
    tokens_per_minute: int | UnsetType | None = UNSET
    concurrent_requests: int | UnsetType | None = UNSET
    quota: TokenQuota | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET
    """True: it is refused from now on, and its streams under way end; until it is enabled."""


class RotateKeyRequest(Request, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/keys/{name}/rotate``."""

    grace_seconds: float = 0.0
    """How long the old secret still opens; 0: not any more."""


class KeyView(Frozen, frozen=True, kw_only=True):
    """A key, as listed: never its secret."""

    id: str
    name: str
    owner_id: str
    owner_name: str = ""
    masked: str
    scopes: tuple[Scope, ...]
    created_at: float
    created_by: str = ""
    """Name of the key that made it; empty: the box's owner, who needed none."""
    last_used_at: float | None
    revoked_at: float | None
    disabled_at: float | None = None
    owner_disabled_at: float | None = None
    """Since when its user is disabled, and with it this key."""
    expires_at: float | None = None
    models: tuple[str, ...] = ()
    denied_models: tuple[str, ...] = ()
    limits: KeyLimits = KeyLimits()
    quota: TokenQuota | None = None
    quota_used_tokens: int | None = None
    """In the quota's present period; None: it has no quota."""
    previous_until: float | None = None
    """Until when the secret before the last rotation still opens."""


class CreatedKey(Frozen, frozen=True, kw_only=True):
    """The answer to creating or rotating a key, the one time its secret is shown."""

    key: str
    id: str
    name: str
    owner_id: str
    masked: str
    scopes: tuple[Scope, ...]
    created_at: float
    previous_until: float | None = None
    """Until when the secret before this one still opens; None: not any more, or there was none."""
