"""What creating, editing and rotating make of a key, and what is told of that."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
from msgspec import UNSET

from hydra_box.keys.secrets import hash_secret, mask_secret
from hydra_box.messages import CreatedKey, CreateKeyRequest, EditKeyRequest
from hydra_box.types import ApiKey, User

_LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrent_requests")
_NOT_FIELDS = frozenset({*_LIMITS, "disabled"})
"""Of the request, that are not fields of the key by the same name."""


def new_key(
    request: CreateKeyRequest, owner: User, created_by: str, secret: str, now: float
) -> ApiKey:
    """A key as it is asked for; whether there can be such a key is another question."""
    return ApiKey(
        id=f"key-{secrets.token_hex(6)}",
        name=request.name,
        owner_id=owner.id,
        sha256=hash_secret(secret),
        masked=mask_secret(secret),
        scopes=tuple(dict.fromkeys(request.scopes)),
        created_at=now,
        created_by=created_by,
        expires_at=request.expires_at,
        models=tuple(dict.fromkeys(request.models)),
        denied_models=tuple(dict.fromkeys(request.denied_models)),
        limits=request.limits,
        quota=request.quota,
    )


def edited_key(key: ApiKey, request: EditKeyRequest, now: float) -> ApiKey:
    """The key as the edit wants it; here too, whether there can be such a key is not asked."""
    given = {
        name: value for name, value in msgspec.structs.asdict(request).items() if value is not UNSET
    }
    changes: dict[str, Any] = {
        name: tuple(dict.fromkeys(value)) if isinstance(value, tuple) else value
        for name, value in given.items()
        if name not in _NOT_FIELDS
    }
    limits = {name: given[name] for name in _LIMITS if name in given}
    changes["limits"] = msgspec.structs.replace(key.limits, **limits)
    if given.get("disabled") is True:
        changes["disabled_at"] = now if key.disabled_at is None else key.disabled_at
    elif "disabled" in given:
        changes["disabled_at"] = None
    return msgspec.structs.replace(key, **changes)


def rotated_key(key: ApiKey, secret: str, previous_until: float) -> ApiKey:
    """The key with a new secret, beside which the present one opens until then."""
    return msgspec.structs.replace(
        key,
        sha256=hash_secret(secret),
        masked=mask_secret(secret),
        previous_sha256=key.sha256,
        previous_until=previous_until,
    )


def with_secret(key: ApiKey, secret: str, *, previous_until: float | None = None) -> CreatedKey:
    """The one answer that shows a key's secret."""
    return CreatedKey(
        key=secret,
        id=key.id,
        name=key.name,
        owner_id=key.owner_id,
        masked=key.masked,
        scopes=key.scopes,
        created_at=key.created_at,
        previous_until=previous_until,
    )


def told_edit(before: ApiKey, key: ApiKey) -> str:
    """One sentence that says what is different."""
    said = []
    if before.disabled_at is None and key.disabled_at is not None:
        said.append("is disabled")
    if before.disabled_at is not None and key.disabled_at is None:
        said.append("is enabled")
    if before.name != key.name:
        said.append(f"is called {key.name!r}")
    fields = ("scopes", "expires_at", "models", "denied_models", "limits", "quota")
    changed = [
        name.replace("_", " ").removesuffix(" at")
        for name in fields
        if getattr(before, name) != getattr(key, name)
    ]
    if changed:
        said.append(f"has other {', '.join(changed)}")
    return f"the key {before.name!r} {' and '.join(said)}"
