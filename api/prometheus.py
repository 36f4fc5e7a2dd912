"""Prometheus' text format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import accumulate
from typing import TypeVar

from hydra_box.types import Frozen, Histogram

MEDIA_TYPE = "text/plain; version=0.0.4"

_IN_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})
_IN_LABEL = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})

T = TypeVar("T")
Labels = Mapping[str, str]
Value = float | Histogram | None
"""Of a sample: a number or a histogram; None where there is none now."""


class Kind(StrEnum):
    """What a number does over time."""

    GAUGE = "gauge"
    COUNTER = "counter"
    """It only grows, until the daemon or the engine starts again; its name ends in ``_total``."""
    HISTOGRAM = "histogram"
    """Counters, one for each bucket."""


class Sample(Frozen, frozen=True):
    """One figure of one thing."""

    value: Value
    labels: Mapping[str, str] = {}


class Family(Frozen, frozen=True):
    """The samples of one name."""

    name: str
    kind: Kind
    help: str
    samples: tuple[Sample, ...]


def gauge(name: str, help: str, *samples: Sample) -> Family:
    """A family of numbers that go up and down."""
    return Family(name, Kind.GAUGE, help, samples)


def columns(
    kind: Kind,
    prefix: str,
    rows: Iterable[tuple[T, Labels]],
    read: Iterable[tuple[str, str, Callable[[T], Value]]],
) -> Iterator[Family]:
    """A family for each figure that is read of every row.

    Args:
        kind: of all of them.
        prefix: what their names begin with.
        rows: the things that have these figures, each with its labels.
        read: the rest of a name, its help, and how the figure is read.

    """
    known = tuple(rows)
    for name, help, value in read:
        samples = tuple(Sample(value(one), labels) for one, labels in known)
        yield Family(f"{prefix}{name}", kind, help, samples)


def render(families: Iterable[Family]) -> str:
    """The families as text; those without a number are left out."""
    return "".join(line for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    told = [sample for sample in family.samples if sample.value is not None]
    if not told:
        return
    yield f"# HELP {family.name} {family.help.translate(_IN_HELP)}\n"
    yield f"# TYPE {family.name} {family.kind.value}\n"
    for sample in told:
        labels = _labels(sample.labels)
        if isinstance(sample.value, Histogram):
            yield from _buckets(family.name, labels, sample.value)
        elif sample.value is not None:
            yield f"{family.name}{_braced(labels)} {_number(sample.value)}\n"


def _buckets(name: str, labels: str, histogram: Histogram) -> Iterator[str]:
    before = f"{name}_bucket{{{labels}{',' if labels else ''}le="
    bounds = (*histogram.bounds, math.inf)
    for bound, count in zip(bounds, accumulate(histogram.counts), strict=True):
        yield f'{before}"{_number(bound)}"}} {count}\n'
    yield f"{name}_sum{_braced(labels)} {_number(histogram.sum)}\n"
    yield f"{name}_count{_braced(labels)} {histogram.count}\n"


def _labels(labels: Labels) -> str:
    return ",".join(f'{name}="{value.translate(_IN_LABEL)}"' for name, value in labels.items())


def _braced(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def _number(value: float) -> str:
    """As Go reads it; whole numbers without a point, so that bytes stay exact."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() else repr(float(value))
