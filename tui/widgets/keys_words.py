"""Keys as the console shows them: their state, times, scopes and limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from hydra_box.messages import KeyView, ServiceView
from hydra_box.shown.numbers import count
from hydra_box.types import KeyLimits, Scope
from tui.words import ago, span

SOON_SECONDS: Final = 3 * 86_400
"""A key that ends so soon is marked."""


class KeyState(StrEnum):
    """Whether a key opens anything; the worst last."""

    VALID = "valid"
    DISABLED = "disabled"
    """By itself, or with its user."""
    EXPIRED = "expired"
    REVOKED = "revoked"


MARKS: Final = {
    KeyState.VALID: "●",
    KeyState.DISABLED: "○",
    KeyState.EXPIRED: "◌",
    KeyState.REVOKED: "✗",
}
TONES: Final = {
    KeyState.VALID: "success",
    KeyState.DISABLED: "warning",
    KeyState.EXPIRED: "warning",
    KeyState.REVOKED: "dim",
}
STYLES: Final = {
    KeyState.VALID: "$text-success",
    KeyState.DISABLED: "$text-warning",
    KeyState.EXPIRED: "$text-warning",
    KeyState.REVOKED: "$text-muted",
}


def state_of(key: KeyView, now: float) -> KeyState:
    """Its state at that time."""
    if key.revoked_at is not None:
        return KeyState.REVOKED
    if key.disabled_at is not None or key.owner_disabled_at is not None:
        return KeyState.DISABLED
    if key.expires_at is not None and key.expires_at <= now:
        return KeyState.EXPIRED
    return KeyState.VALID


def ends(at: float | None, now: float) -> str:
    """When it ends or ended: ``in 29 d``, ``3 h ago``, ``never``."""
    if at is None or at <= now:
        return ago(at, now)
    return f"in {span(at - now)}"


def moment(at: float) -> str:
    """A moment in the time zone of who looks: ``2027-01-31 12:00``."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")


def scopes(key: KeyView) -> str:
    """``inference``, ``admin`` or ``both``: short enough for a table."""
    return "both" if set(key.scopes) == set(Scope) else ", ".join(key.scopes)


def may(held: Iterable[Scope]) -> str:
    """What the scopes allow, in words."""
    words = {Scope.INFERENCE: "call models", Scope.ADMIN: "manage this box"}
    return " and ".join(words[scope] for scope in Scope if scope in held)


def limits(of: KeyLimits) -> Iterator[str]:
    """Each limit that there is."""
    if of.requests_per_minute is not None:
        yield f"{count(of.requests_per_minute, 'request')}/min"
    if of.tokens_per_minute is not None:
        yield f"{count(of.tokens_per_minute, 'token')}/min"
    if of.concurrent_requests is not None:
        yield f"{of.concurrent_requests:,} at once"


def models(of: KeyView) -> str:
    """What it may call, short enough for a table: ``public/*, not */big``."""
    allowed = ", ".join(of.models) or "all"
    return f"{allowed}, not {', '.join(of.denied_models)}" if of.denied_models else allowed


def matching(globs: Sequence[str], services: Iterable[ServiceView]) -> list[str]:
    """The access names that one of the globs matches; without globs, all."""
    names = sorted(view.access_name for view in services)
    return [name for name in names if not globs or any(fnmatchcase(name, one) for one in globs)]
