"""Prometheus' text format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from enum import StrEnum

from hydra_box.types import Frozen

MEDIA_TYPE = "text/plain; version=0.0.4"

_IN_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})
_IN_LABEL = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Kind(StrEnum):
    """What a number does over time."""

    GAUGE = "gauge"
    COUNTER = "counter"
    """It only grows, until the daemon starts again; its name ends in ``_total``."""


class Sample(Frozen, frozen=True):
    """One number; None where there is none now."""

    value: float | None
    labels: Mapping[str, str] = {}


class Family(Frozen, frozen=True):
    """The samples of one name."""

    name: str
    kind: Kind
    help: str
    samples: tuple[Sample, ...]


def render(families: Iterable[Family]) -> str:
    """The families as text; those without a number are left out."""
    return "".join(line for family in families for line in _lines(family))


def _lines(family: Family) -> Iterable[str]:
    told = [
        f"{family.name}{_labels(sample.labels)} {_number(sample.value)}\n"
        for sample in family.samples
        if sample.value is not None
    ]
    if not told:
        return ()
    head = (
        f"# HELP {family.name} {family.help.translate(_IN_HELP)}\n",
        f"# TYPE {family.name} {family.kind.value}\n",
    )
    return (*head, *told)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{value.translate(_IN_LABEL)}"' for name, value in labels.items())
    return f"{{{','.join(pairs)}}}"


def _number(value: float) -> str:
    """As Go reads it; whole numbers without a point, so that bytes stay exact."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() else repr(float(value))
