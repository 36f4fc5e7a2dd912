"""What is typed into the fields of a key, and the values that it means."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

from hydra_box.errors import HydraError, InvalidRequest
from hydra_box.types import KeyLimits, QuotaPeriod, Scope, TokenQuota
from tui.widgets.keys_words import moment
from tui.words import span

LONGEST_NAME: Final = 64
LONGEST_GLOB: Final = 128
LONGEST_GRACE: Final = timedelta(days=90)
HIGHEST_LIMIT: Final = 10**12
LATEST: Final = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
"""The last moment that has a date everywhere."""
LIMIT_FIELDS: Final = KeyLimits.__struct_fields__
NEVER: Final = "never"
PRESETS: Final = (NEVER, "7d", "30d", "90d")

_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_SPAN: Final = re.compile(r"(\d{1,6})\s*(h|d|w|hours?|days?|weeks?)?", re.ASCII | re.IGNORECASE)
_QUOTAS: Final = "type 100000, or 100000/day, /week or /month"
_EXAMPLES: Final = "type never, 30d, 12h, 2w or a date like 2027-01-31"


def read_name(text: str, taken: Collection[str]) -> str:
    """The key's name.

    Raises:
        InvalidRequest: it is no name, or another key that was not revoked has it.

    """
    name = text.strip()
    if not name:
        raise InvalidRequest("a key needs a name", hint="what will use it, like my-app")
    if len(name) > LONGEST_NAME:
        raise InvalidRequest(
            f"the name has {len(name)} characters", hint=f"use at most {LONGEST_NAME}"
        )
    if not name.isprintable():
        raise InvalidRequest("the name has characters that cannot be shown")
    if name in taken:
        raise InvalidRequest(
            f"a key {name!r} is there already", hint="choose another name, or revoke it first"
        )
    return name


def read_scopes(scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    """The scopes.

    Raises:
        InvalidRequest: there is none.

    """
    if not scopes:
        raise InvalidRequest("a key without a scope opens nothing", hint="choose one or both")
    return scopes


def read_expiry(text: str, now: float) -> float | None:
    """When the key ends, in seconds since the epoch; None: never.

    A number alone is days. A date is of the time zone of who types it, and means its beginning.

    Raises:
        InvalidRequest: it is none of what can be typed, or not in the future.

    """
    typed = text.strip().casefold()
    if typed in ("", NEVER):
        return None
    found = _SPAN.fullmatch(typed)
    at = now + _seconds(found) if found else _date(text.strip())
    if at <= now:
        raise InvalidRequest(f"{_told(at)} is over", hint="give a time in the future")
    if at > LATEST:
        raise InvalidRequest(f"{text.strip()} is too far away", hint=_EXAMPLES)
    return at


def told_expiry(at: float | None, now: float) -> str:
    """What the typed expiry means."""
    return "it never ends" if at is None else f"it ends at {moment(at)}, in {span(at - now)}"


def read_models(text: str) -> tuple[str, ...]:
    """The globs, in the order they were typed.

    Raises:
        InvalidRequest: one of them is too long, or cannot be shown.

    """
    globs = tuple(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))
    for glob in globs:
        if len(glob) > LONGEST_GLOB or not glob.isprintable():
            raise InvalidRequest(
                f"{glob[:20]!r}... is no glob of access names",
                hint=f"use at most {LONGEST_GLOB} printable characters, like public/*",
            )
    return globs


def read_limit(text: str) -> int | None:
    """One limit; None: there is none.

    Raises:
        InvalidRequest: it is no number, or not from 1 to ``HIGHEST_LIMIT``.

    """
    typed = re.sub(r"[\s,_]", "", text)
    if not typed:
        return None
    if not re.fullmatch(r"\d{1,20}", typed, re.ASCII):
        raise InvalidRequest(f"{text.strip()!r} is no whole number", hint="empty: no limit")
    if not 1 <= int(typed) <= HIGHEST_LIMIT:
        raise InvalidRequest(
            f"{int(typed):,} is no limit", hint=f"use 1 to {HIGHEST_LIMIT:,}; empty: no limit"
        )
    return int(typed)


def read_quota(text: str) -> TokenQuota | None:
    """Tokens in all, or a day, week or month; None: there is no quota.

    Raises:
        InvalidRequest: it is no number with or without a period.

    """
    number, slash, period = text.strip().casefold().partition("/")
    tokens = read_limit(number)
    if slash and period.strip() not in set(QuotaPeriod):
        raise InvalidRequest(f"{period.strip()!r} is no period", hint=_QUOTAS)
    if tokens is None:
        if slash:
            raise InvalidRequest(f"{text.strip()!r} is no quota", hint=_QUOTAS)
        return None
    return TokenQuota(tokens=tokens, period=QuotaPeriod(period.strip() or QuotaPeriod.TOTAL))


def read_grace(text: str) -> float:
    """How many seconds an old secret still opens; a number alone is days, nothing is 0.

    Raises:
        InvalidRequest: it is no span, or longer than ``LONGEST_GRACE``.

    """
    typed = text.strip().casefold()
    if typed in ("", "0"):
        return 0.0
    if not (found := _SPAN.fullmatch(typed)):
        raise InvalidRequest(f"{text.strip()!r} is no span", hint="type 0, 12h, 7d or 2w")
    if _seconds(found) > LONGEST_GRACE.total_seconds():
        raise InvalidRequest(
            f"{text.strip()} is too long", hint=f"use at most {LONGEST_GRACE.days} days"
        )
    return _seconds(found)


def one_line(error: HydraError) -> str:
    """Fact and hint beside a field."""
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _seconds(span: re.Match[str]) -> float:
    return int(span[1]) * _UNITS[(span[2] or "d")[0]].total_seconds()


def _date(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise InvalidRequest(f"{text!r} is no time", hint=_EXAMPLES) from None


def _told(at: float) -> str:
    try:
        return moment(at)
    except (ValueError, OverflowError, OSError):
        return "that time"
