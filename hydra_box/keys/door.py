"""Whether a known key opens: a pure decision."""

from __future__ import annotations

from hydra_box.errors import Unauthenticated
from hydra_box.keys.memory import MAKE_ONE
from hydra_box.keys.rules import date
from hydra_box.types import ApiKey, User


def check_open(key: ApiKey, owner: User, sha256: str, now: float) -> None:
    """Whether the key opens now, with the secret of that hash.

    1. It was revoked: never again.
    2. The secret is the one before its last rotation, whose grace is over: never again.
    3. It is disabled, or 4. its owner is: until that is taken back.
    5. It has expired: until it is given another end.

    Raises:
        Unauthenticated: it does not; the text says which of these it is.

    """
    if key.revoked_at is not None:
        raise Unauthenticated(f"the API key {key.name!r} was revoked", hint=MAKE_ONE)
    if sha256 != key.sha256 and (until := key.previous_until or 0.0) <= now:
        raise Unauthenticated(
            f"the API key {key.name!r} was rotated: this secret of it opened until {date(until)}",
            hint="use its new secret; 'hydra-box keys rotate NAME' gives it another",
        )
    if key.disabled_at is not None:
        raise Unauthenticated(
            f"the API key {key.name!r} is disabled",
            hint="'hydra-box keys enable NAME' lets it open again",
        )
    if owner.disabled_at is not None:
        raise Unauthenticated(
            f"the user {owner.name!r} is disabled, and with it the API key {key.name!r}",
            hint="'hydra-box users enable NAME' lets its keys open again",
        )
    if key.expires_at is not None and key.expires_at <= now:
        raise Unauthenticated(
            f"the API key {key.name!r} expired on {date(key.expires_at)}", hint=MAKE_ONE
        )
