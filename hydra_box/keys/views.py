"""A key as it is shown: all but its secret."""

from __future__ import annotations

from hydra_box.messages import KeyView
from hydra_box.types import ApiKey, User


def key_view(
    key: ApiKey,
    owner: User,
    *,
    used_at: float | None,
    quota_used_tokens: int | None,
    now: float,
) -> KeyView:
    """Show a key.

    Args:
        key: as it is kept.
        owner: whose it is.
        used_at: when it was last used, if the store does not have that yet; Unix time.
        quota_used_tokens: of its quota; None: it has none, or that is not counted.
        now: Unix time.
    """
    until = key.previous_until
    return KeyView(
        id=key.id,
        name=key.name,
        owner_id=key.owner_id,
        owner_name=owner.name,
        masked=key.masked,
        scopes=key.scopes,
        created_at=key.created_at,
        created_by=key.created_by,
        last_used_at=key.last_used_at if used_at is None else used_at,
        revoked_at=key.revoked_at,
        disabled_at=key.disabled_at,
        owner_disabled_at=owner.disabled_at,
        expires_at=key.expires_at,
        models=key.models,
        denied_models=key.denied_models,
        limits=key.limits,
        quota=key.quota,
        quota_used_tokens=quota_used_tokens,
        previous_until=until if until is not None and until > now else None,
    )
