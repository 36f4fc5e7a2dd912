"""What an API key may be made with: its name, its end, its models and its limits."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import msgspec

from hydra_box.errors import InvalidRequest
from hydra_box.messages import CreateKeyRequest
from hydra_box.types import KeyLimits, Scope

LONGEST_NAME = 64
LONGEST_GLOB = 128
HIGHEST_LIMIT = 10**12
LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
"""The last moment that has a date."""


def check_new_key(request: CreateKeyRequest, now: float) -> None:
    """Whether such a key can be made.

    Raises:
        InvalidRequest: a value is wrong; ``param`` names it.

    """
    _check_name(request.name)
    if not request.scopes:
        raise InvalidRequest(
            "a key needs at least one scope", hint=f"scopes: {', '.join(Scope)}", param="scopes"
        )
    if request.expires_at is not None:
        _check_expiry(request.expires_at, now)
    for glob in request.models:
        _check_glob(glob)
    _check_limits(request.limits)


def date(at: float) -> str:
    """A moment for people wherever they are: ``2027-01-31 12:00 UTC``."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def _check_name(name: str) -> None:
    rule = f"use 1 to {LONGEST_NAME} printable characters, the first and last not a space"
    if not name or len(name) > LONGEST_NAME:
        raise InvalidRequest(f"the key name has {len(name)} characters", hint=rule, param="name")
    if not name.isprintable() or name != name.strip():
        raise InvalidRequest(f"the key name {name!r} is not valid", hint=rule, param="name")


def _check_expiry(expires_at: float, now: float) -> None:
    if not math.isfinite(expires_at) or expires_at > LATEST:
        raise InvalidRequest(
            "expires_at is no date", hint=f"the latest is {date(LATEST)}", param="expires_at"
        )
    if expires_at <= now:
        told = f"{date(expires_at)}" if expires_at >= 0 else f"{expires_at:g} s"
        raise InvalidRequest(
            f"expires_at is {told}, and it is {date(now)} already",
            hint="give a moment in the future, in seconds since 1970",
            param="expires_at",
        )


def _check_glob(glob: str) -> None:
    rule = f"use 1 to {LONGEST_GLOB} printable characters, like public/*"
    if not 1 <= len(glob) <= LONGEST_GLOB:
        raise InvalidRequest(
            f"a glob of models has {len(glob)} characters", hint=rule, param="models"
        )
    if not glob.isprintable():
        raise InvalidRequest(f"the glob {glob!r} is not valid", hint=rule, param="models")


def _check_limits(limits: KeyLimits) -> None:
    for name, limit in msgspec.structs.asdict(limits).items():
        if limit is not None and not 1 <= limit <= HIGHEST_LIMIT:
            # A huge number takes long to write out, and Python refuses the longest.
            told = f"{limit:,}" if limit.bit_length() <= 64 else "a number of more than 64 bits"
            raise InvalidRequest(
                f"{name} is {told}",
                hint=f"use 1 to {HIGHEST_LIMIT:,}; without it there is no limit",
                param=f"limits.{name}",
            )
