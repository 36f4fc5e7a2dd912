"""What is typed for a key, and the request that it makes: values in, values out."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final

from hydra_box.errors import InvalidRequest
from hydra_box.messages import CreateKeyRequest, EditKeyRequest, KeyView
from hydra_box.types import Frozen, KeyLimits, QuotaPeriod, Scope, TokenQuota
from tui.widgets.keys_values import (
    LIMIT_FIELDS,
    NEVER,
    one_line,
    read_expiry,
    read_limit,
    read_models,
    read_name,
    read_quota,
    read_scopes,
)
from tui.widgets.keys_words import moment

_REQUEST_NAMES: Final = {"expires": "expires_at", "denied": "denied_models"}
"""Where a request does not call a field as the form does."""


class KeyDraft(Frozen, frozen=True, kw_only=True):
    """A key as it stands in the form, each value as it was typed."""

    name: str = ""
    user: str = ""
    """Whose it is, by name or id; empty: the box's owner."""
    scopes: tuple[Scope, ...] = (Scope.INFERENCE,)
    expires: str = NEVER
    models: str = ""
    denied: str = ""
    requests_per_minute: str = ""
    tokens_per_minute: str = ""
    concurrent_requests: str = ""
    quota: str = ""


def draft_of(key: KeyView) -> KeyDraft:
    """A key as it would be typed; its end loses its seconds."""
    limits = {name: getattr(key.limits, name) for name in LIMIT_FIELDS}
    return KeyDraft(
        name=key.name,
        user=key.owner_name,
        scopes=key.scopes,
        expires=NEVER if key.expires_at is None else moment(key.expires_at),
        models=", ".join(key.models),
        denied=", ".join(key.denied_models),
        quota=_typed_quota(key.quota),
        **{name: "" if limit is None else f"{limit:,}" for name, limit in limits.items()},
    )


def read_draft(
    draft: KeyDraft, taken: Collection[str], now: float
) -> CreateKeyRequest | dict[str, str]:
    """The request for a new key; or what is wrong, by field."""
    values, problems = _read(draft, KeyDraft.__struct_fields__, taken, now)
    if problems:
        return problems
    limits = KeyLimits(**{field: values.pop(field) for field in LIMIT_FIELDS})
    return CreateKeyRequest(limits=limits, **values)


def read_changes(
    draft: KeyDraft, before: KeyDraft, taken: Collection[str], now: float
) -> EditKeyRequest | dict[str, str]:
    """The request that makes of one draft the other; or what is wrong, by field.

    What was left as it was is not read: it may say less than the key has, or be over by now.
    """
    changed = [
        name for name in KeyDraft.__struct_fields__ if getattr(draft, name) != getattr(before, name)
    ]
    values, problems = _read(draft, changed, taken, now)
    return problems or EditKeyRequest(**values)


def _read(
    draft: KeyDraft, fields: Collection[str], taken: Collection[str], now: float
) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of these fields by their names in a request, and what is wrong by field."""
    readers: dict[str, Callable[[], Any]] = {
        "name": lambda: read_name(draft.name, taken),
        "user": lambda: draft.user.strip() or None,
        "scopes": lambda: read_scopes(draft.scopes),
        "expires": lambda: read_expiry(draft.expires, now),
        "models": lambda: read_models(draft.models),
        "denied": lambda: read_models(draft.denied),
        **{field: partial(read_limit, getattr(draft, field)) for field in LIMIT_FIELDS},
        "quota": lambda: read_quota(draft.quota),
    }
    values, problems = {}, {}
    for field in fields:
        try:
            values[_REQUEST_NAMES.get(field, field)] = readers[field]()
        except InvalidRequest as error:
            problems[field] = one_line(error)
    return values, problems


def _typed_quota(quota: TokenQuota | None) -> str:
    if quota is None:
        return ""
    period = "" if quota.period is QuotaPeriod.TOTAL else f"/{quota.period}"
    return f"{quota.tokens:,}{period}"
