"""What an API key may have: its name, its end, its models, its limits and its quota."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import msgspec

from hydra_box.errors import InvalidRequest
from hydra_box.labels import check_label
from hydra_box.types import ApiKey, KeyLimits, Scope, TokenQuota

LONGEST_GLOB = 128
MOST_GLOBS = 100
"""Of one kind: each is tried at each request."""
HIGHEST_LIMIT = 10**12
LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
"""The last moment that has a date."""
LONGEST_GRACE_SECONDS = 90 * 86_400.0


def check_key(key: ApiKey, *, limits_in: str = "limits.") -> None:
    """Whether there can be such a key, whenever it ends.

    Args:
        key: as it would be.
        limits_in: what stands before a limit's name in the request that is checked.

    Raises:
        InvalidRequest: a value is wrong; ``param`` names it.

    """
    check_label(key.name, of="key")
    if not key.scopes:
        raise InvalidRequest(
            "a key needs at least one scope", hint=f"scopes: {', '.join(Scope)}", param="scopes"
        )
    _check_globs(key.models, "models")
    _check_globs(key.denied_models, "denied_models")
    _check_limits(key.limits, limits_in)
    if key.quota is not None:
        _check_quota(key.quota)


def check_expiry(expires_at: float, now: float) -> None:
    """Whether a key can be made to end at that moment.

    Raises:
        InvalidRequest: it is over, or no date.

    """
    if not math.isfinite(expires_at) or expires_at > LATEST:
        raise InvalidRequest(
            "expires_at is no date", hint=f"the latest is {date(LATEST)}", param="expires_at"
        )
    if expires_at <= now:
        told = f"{date(expires_at)}" if expires_at >= 0 else f"{expires_at:g} s"
        raise InvalidRequest(
            f"expires_at is {told}, and it is {date(now)} already",
            hint="give a moment in the future (in the API, in seconds since 1970)",
            param="expires_at",
        )


def check_grace(grace_seconds: float) -> None:
    """Whether an old secret may open for so long beside its successor.

    Raises:
        InvalidRequest: it is negative, too long, or no number.

    """
    if not 0.0 <= grace_seconds <= LONGEST_GRACE_SECONDS:
        raise InvalidRequest(
            f"grace_seconds is {grace_seconds:,.12g}",
            hint=f"use 0 to {LONGEST_GRACE_SECONDS:,.0f}, which are 90 days",
            param="grace_seconds",
        )


def date(at: float) -> str:
    """A moment for people wherever they are: ``2027-01-31 12:00 UTC``."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def _check_globs(globs: tuple[str, ...], param: str) -> None:
    rule = f"use 1 to {LONGEST_GLOB} printable characters, like public/*"
    if len(globs) > MOST_GLOBS:
        raise InvalidRequest(
            f"{param} has {len(globs):,} globs", hint=f"use {MOST_GLOBS} at most", param=param
        )
    for glob in globs:
        if not 1 <= len(glob) <= LONGEST_GLOB:
            raise InvalidRequest(
                f"a glob of models has {len(glob)} characters", hint=rule, param=param
            )
        if not glob.isprintable():
            raise InvalidRequest(f"the glob {glob!r} is not valid", hint=rule, param=param)


def _check_limits(limits: KeyLimits, inside: str) -> None:
    for name, limit in msgspec.structs.asdict(limits).items():
        if limit is not None and not 1 <= limit <= HIGHEST_LIMIT:
            raise InvalidRequest(
                f"{name} is {_told(limit)}",
                hint=f"use 1 to {HIGHEST_LIMIT:,}; without it there is no limit",
                param=f"{inside}{name}",
            )


def _check_quota(quota: TokenQuota) -> None:
    if not 1 <= quota.tokens <= HIGHEST_LIMIT:
        raise InvalidRequest(
            f"the quota is {_told(quota.tokens)} tokens",
            hint=f"use 1 to {HIGHEST_LIMIT:,}; without it there is no quota",
            param="quota.tokens",
        )


def _told(number: int) -> str:
    # A huge number takes long to write out, and Python refuses the longest.
    return f"{number:,}" if number.bit_length() <= 64 else "a number of more than 64 bits"
