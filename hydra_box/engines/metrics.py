"""What an engine says of itself, in the same words for every engine.

Its counters begin with its process, and have the request of one token that it was made ready with.
A figure that an engine does not have is None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hydra_box.errors import EngineError
from hydra_box.types import Frozen, Histogram

_BOUND = re.compile(r'[{,]le="([^"]+)"')


class EngineMetrics(Frozen, frozen=True, kw_only=True):
    """An engine's load now, and its counters."""

    running: float
    """Sequences that it works on."""
    waiting: float
    """Requests that wait for a slot."""
    kv_cache_used_ratio: float | None = None
    """Of the whole cache, 0 to 1."""
    prompt_tokens: float | None = None
    """Of all prompts, with those that were in its cache."""
    cached_tokens: float | None = None
    """Of the prompts' tokens: those that were in its cache."""
    completion_tokens: float | None = None
    prefill_seconds: float | None = None
    """That sequences were read, all sequences together: more than passed, if several were at once.
    """
    decode_seconds: float | None = None
    """That sequences were written, all sequences together."""
    steps: float | None = None
    """Forward passes, each of one batch of sequences."""
    sequences_per_step: float | None = None
    """The mean since its process was started."""
    preemptions: float | None = None
    """Sequences that had to give their cache away and were begun again."""
    drafts: float | None = None
    """Of speculative decoding: how often tokens were guessed."""
    drafted_tokens: float | None = None
    accepted_tokens: float | None = None
    """Of the guessed ones."""
    ttft_seconds: Histogram | None = None
    tpot_seconds: Histogram | None = None
    duration_seconds: Histogram | None = None


class MetricsPage:
    """A page in Prometheus' text format, summed over all labels but ``le``."""

    def __init__(self, page: bytes) -> None:
        self._totals: dict[str, float] = {}
        self._buckets: dict[str, dict[float, float]] = {}
        for series, value in _lines(page.decode(errors="replace")):
            name, _, labels = series.partition("{")
            self._totals[name] = self._totals.get(name, 0.0) + value
            if labels and name.endswith("_bucket") and (bound := _BOUND.search("{" + labels)):
                buckets = self._buckets.setdefault(name.removesuffix("_bucket"), {})
                le = float(bound[1])
                buckets[le] = buckets.get(le, 0.0) + value

    def find(self, name: str) -> float | None:
        """The figure of that name, if there is one."""
        return self._totals.get(name)

    def need(self, name: str) -> float:
        """The figure of that name.

        Raises:
            EngineError: there is none.

        """
        if (value := self._totals.get(name)) is None:
            raise EngineError(f"the engine's counters are not understood: it has no {name}")
        return value

    def histogram(self, name: str) -> Histogram | None:
        """The histogram of that name, if there is one."""
        if (buckets := self._buckets.get(name)) is None:
            return None
        *bounds, _ = sorted(buckets)
        return Histogram(
            bounds=tuple(bounds),
            counts=tuple(_each(buckets)),
            sum=self._totals.get(f"{name}_sum", 0.0),
        )


def _lines(text: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        series, _, value = line.rpartition(" ")
        try:
            yield series, float(value)
        except ValueError:
            continue  # A timestamp or a comment that no counter of ours has.


def _each(buckets: Mapping[float, float]) -> Iterator[int]:
    """What is in each bucket; in the format each has those before it, too."""
    below = 0
    for bound in sorted(buckets):
        within = int(buckets[bound])
        yield within - below
        below = within
