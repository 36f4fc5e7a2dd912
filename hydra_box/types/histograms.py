"""Figures by their size."""

from __future__ import annotations

from hydra_box.types.base import Frozen


class Histogram(Frozen, frozen=True, kw_only=True):
    """How many figures of a kind there were, by their size."""

    bounds: tuple[float, ...]
    """Ascending; the last bucket, of whatever is larger, has none."""
    counts: tuple[int, ...]
    """Of each bucket: what is not above its bound, and above the one before. One more than bounds.
    """
    sum: float = 0.0
    """Of all figures."""

    @property
    def count(self) -> int:
        """How many figures there were."""
        return sum(self.counts)
