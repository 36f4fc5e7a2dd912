"""API keys, as they are made and listed."""

from __future__ import annotations

from hydra_box.messages.base import Request
from hydra_box.types import Frozen, KeyLimits, Scope


class CreateKeyRequest(Request, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/keys``."""

    name: str
    scopes: tuple[Scope, ...] = (Scope.INFERENCE,)
    expires_at: float | None = None
    """Seconds since the epoch; None: never."""
    models: tuple[str, ...] = ()
    """Globs over access names, ``public/*``: it may call what one of them matches; empty: all."""
    limits: KeyLimits = KeyLimits()


class KeyView(Frozen, frozen=True, kw_only=True):
    """A key, as listed: never its secret."""

    id: str
    name: str
    owner_id: str
    masked: str
    scopes: tuple[Scope, ...]
    created_at: float
    last_used_at: float | None
    revoked_at: float | None
    expires_at: float | None = None
    models: tuple[str, ...] = ()
    limits: KeyLimits = KeyLimits()


class CreatedKey(Frozen, frozen=True, kw_only=True):
    """The answer to creating a key, the one time its secret is shown."""

    key: str
    id: str
    name: str
    owner_id: str
    masked: str
    scopes: tuple[Scope, ...]
    created_at: float
