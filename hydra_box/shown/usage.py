"""Usage in numbers: sums of rows, and what they cost and drew in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from hydra_box.messages import UsageTotals

_LEAST: Final = 0.0001


def add(rows: Iterable[UsageTotals]) -> UsageTotals:
    """The sums of the rows."""
    rows = tuple(rows)
    names = UsageTotals.__struct_fields__
    sums: dict[str, Any] = {name: _sum(getattr(row, name) for row in rows) for name in names}
    return UsageTotals(**{name: sum for name, sum in sums.items() if sum is not None})


def _sum(values: Iterable[float | None]) -> float | None:
    """Of those that are known, if any is."""
    known = [one for one in values if one is not None]
    return sum(known) if known else None


def tokens(sums: UsageTotals) -> int:
    """Prompt and completion tokens."""
    return sums.prompt_tokens + sums.completion_tokens


def told_cost(cost: float | None, currency: str = "") -> str:
    """``12.3400 EUR``; empty: nothing had a price."""
    if cost is None:
        return ""
    figure = f"{cost:,.4f}" if cost >= _LEAST else f"<{_LEAST}"
    return f"{figure} {currency}".rstrip()


def told_energy(watt_hours: float | None) -> str:
    """Watt-hours; empty: nothing was measured."""
    return "" if watt_hours is None else f"{watt_hours:,.3f}"
