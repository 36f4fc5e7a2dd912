"""A moment in the past, as one types it."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Any, Final

import click

_SPAN: Final = re.compile(r"(\d{1,6})([hdw])", re.ASCII)
_SECONDS: Final = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


class Moment(click.ParamType[float]):
    """So long ago (``12h``, ``30d``, ``4w``), or a date of this machine's time zone."""

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds since the epoch."""
        if isinstance(value, float):
            return value
        if span := _SPAN.fullmatch(value):
            return max(0.0, time.time() - int(span[1]) * _SECONDS[span[2]])
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError, OSError):
            self.fail(
                f"{value!r} is neither like 30d or 12h nor a date like 2027-01-31", param, ctx
            )
