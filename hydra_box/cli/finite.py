"""A number, as one types it."""

from __future__ import annotations

import math
from typing import Any

import click


class Finite(click.ParamType[float]):
    """A decimal number; ``nan`` and ``inf`` are none, and JSON has no word for them."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number like 0.5 or 12", param, ctx)
        return number
