"""Times and quotas of a key, as one types them."""

from __future__ import annotations

import re
import time
from datetime import datetime
from enum import Enum
from typing import Any, Final, Generic, TypeVar

import click

from hydra_box.types import QuotaPeriod, TokenQuota

_SPAN: Final = re.compile(r"(\d{1,6})([hdw])", re.ASCII)
_SECONDS: Final = {"h": 3600, "d": 86_400, "w": 7 * 86_400}
_QUOTA: Final = re.compile(r"(\d[\d,_]{0,18})(?:/(\w+))?", re.ASCII)

T = TypeVar("T")


class Nothing(Enum):
    """What is typed to take something away, where no word at all leaves it as it is."""

    NOTHING = "nothing"


NOTHING: Final = Nothing.NOTHING


class OrNothing(click.ParamType["T | Nothing"], Generic[T]):
    """A value of another kind, or the word that takes it away."""

    def __init__(self, word: str, kind: click.ParamType[T]) -> None:
        self.name = kind.name
        self._word = word
        self._kind = kind

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> T | Nothing:
        """The value, or ``NOTHING``."""
        return NOTHING if value == self._word else self._kind.convert(value, param, ctx)


class Expiry(click.ParamType[float]):
    """A span from now (``12h``, ``30d``, ``4w``), or a date of this machine's time zone."""

    name = "expiry"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds since the epoch."""
        if isinstance(value, float):
            return value
        if (seconds := _seconds(value)) is not None:
            return time.time() + seconds
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError, OSError):
            self.fail(
                f"{value!r} is neither like 30d or 12h nor a date like 2027-01-31", param, ctx
            )


class Span(click.ParamType[float]):
    """How long: ``12h``, ``30d``, ``4w``."""

    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds."""
        if isinstance(value, float):
            return value
        if (seconds := _seconds(value)) is None:
            self.fail(f"{value!r} is not like 24h or 7d", param, ctx)
        return seconds


class Quota(click.ParamType[TokenQuota]):
    """Tokens, in all (``100000``) or a day, week or month (``100000/day``)."""

    name = "quota"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> TokenQuota:
        """Number and period."""
        if isinstance(value, TokenQuota):
            return value
        typed = _QUOTA.fullmatch(value)
        period = (typed[2] or QuotaPeriod.TOTAL) if typed else ""
        if typed is None or period not in set(QuotaPeriod):
            self.fail(f"{value!r} is not like 100000 or 100000/day, /week or /month", param, ctx)
        return TokenQuota(tokens=int(re.sub(r"[,_]", "", typed[1])), period=QuotaPeriod(period))


def _seconds(typed: str) -> float | None:
    span = _SPAN.fullmatch(typed)
    return float(int(span[1]) * _SECONDS[span[2]]) if span else None
