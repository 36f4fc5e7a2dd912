"""A strict reader of Prometheus' text format 0.0.4: what a scraper would refuse or mix up fails."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
HEAD = re.compile(rf"# (HELP|TYPE) ({NAME}) (.*)")
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?|[+-]Inf|NaN")
ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
KINDS = ("gauge", "counter", "histogram")
PARTS = ("_bucket", "_sum", "_count")

Labels = frozenset[tuple[str, str]]


@dataclass
class Told:
    """A family, as it was read."""

    kind: str
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)


@dataclass
class Page:
    """All families of a page, by name."""

    families: dict[str, Told]

    def names(self) -> set[str]:
        """Of all samples, as one asks for them."""
        return {name for told in self.families.values() for name, _ in told.samples}

    def value(self, name: str, /, **labels: str) -> float:
        """The one sample of that name that has these labels, perhaps among others."""
        (value,) = self.values(name, **labels).values()
        return value

    def total(self, name: str, /, **labels: str) -> float:
        """The sum over all samples of that name that have these labels."""
        return sum(self.values(name, **labels).values())

    def values(self, name: str, /, **labels: str) -> Mapping[Labels, float]:
        """The samples of that name that have these labels, perhaps among others."""
        return {
            found: value
            for told in self.families.values()
            for (one, found), value in told.samples.items()
            if one == name and labels.items() <= dict(found).items()
        }


def read(text: str) -> Page:
    """The page; fails at the first line that is not as the format has it."""
    assert text == "" or text.endswith("\n"), "the last line ends, too"
    families: dict[str, Told] = {}
    name, helped = "", ""
    for line in text.split("\n")[:-1]:
        if head := HEAD.fullmatch(line):
            word, name, rest = head.groups()
            if word == "HELP":
                assert name not in families, f"{name} is told in two places"
                assert re.fullmatch(r"(?:[^\\]|\\[\\n])*", rest), line
                helped = name
            else:
                assert name == helped, f"{name} has no help before its type"
                assert name not in families, f"{name} has two types"
                assert rest in KINDS, line
                families[name] = Told(rest)
        else:
            _add(families[name], name, line)
    for name, told in families.items():
        assert told.samples, f"{name} has no sample"
        _check(name, told)
    return Page(families)


def _add(told: Told, family: str, line: str) -> None:
    match = SAMPLE.fullmatch(line)
    assert match, line
    name, labels, number = match.groups()
    belongs = {f"{family}{part}" for part in PARTS} if told.kind == "histogram" else {family}
    assert name in belongs, f"{name} stands among the samples of {family}"
    assert NUMBER.fullmatch(number), line
    key = name, frozenset(_labels(labels or "", line))
    assert key not in told.samples, f"twice: {line}"
    told.samples[key] = float(number.replace("Inf", "inf"))


def _labels(text: str, line: str) -> Iterator[tuple[str, str]]:
    at, seen = 0, set()
    while at < len(text):
        match = LABEL.match(text, at)
        assert match, line
        name, value = match.groups()
        assert name not in seen, line
        seen.add(name)
        yield name, re.sub(r'\\["\\n]', lambda escape: ESCAPES[escape[0]], value)
        at = match.end()
    assert not text.endswith(","), line


def _check(name: str, told: Told) -> None:
    if told.kind == "counter":
        assert name.endswith("_total"), name
        assert all(0 <= value < math.inf for value in told.samples.values()), name
    elif told.kind == "histogram":
        series = {_without_bound(labels) for _, labels in told.samples}
        for labels in series:
            _check_histogram(name, told, labels)
    else:
        assert not name.endswith("_total"), name


def _without_bound(labels: Labels) -> Labels:
    return frozenset((name, value) for name, value in labels if name != "le")


def _check_histogram(name: str, told: Told, labels: Labels) -> None:
    buckets = [
        (float(dict(found)["le"].replace("Inf", "inf")), value)
        for (part, found), value in told.samples.items()
        if part == f"{name}_bucket" and _without_bound(found) == labels
    ]
    bounds, counts = [one for one, _ in buckets], [one for _, one in buckets]
    assert bounds == sorted(set(bounds)), f"{name}: bounds are not in order"
    assert counts == sorted(counts), f"{name}: buckets are not cumulative"
    assert bounds[-1] == math.inf, f"{name} does not end in +Inf"
    assert counts[-1] == told.samples[f"{name}_count", labels]
    assert told.samples[f"{name}_sum", labels] >= 0
