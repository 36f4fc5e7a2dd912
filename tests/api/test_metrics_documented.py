"""docs/metrics.md has every name that a box can tell, with its labels, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from hydra_box.gateway.measures import DURATION_BOUNDS, TPOT_BOUNDS, TTFT_BOUNDS
from tests.exposition import Page
from tests.metrics_page import fullest

DOCUMENT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
ROWS = re.findall(r"^\| (`hydra_box_.*?) \|", DOCUMENT, re.MULTILINE)


def test_every_family_is_in_a_table_and_no_other() -> None:
    documented = {name for row in ROWS for name in re.findall(r"`(hydra_box_\w+)`", row)}
    assert documented == set(fullest().families)


def labels_of(page: Page, family: str) -> set[str]:
    told = page.families[family]
    return {label for _, found in told.samples for label, _ in found} - {"le"}


def test_labels_are_as_documented() -> None:
    page = fullest()
    ours, _, theirs = DOCUMENT.partition("## Engines")
    for row, labels in re.findall(r"^\| (`hydra_box_.*?) \| (`[^|]*`) \|", ours, re.MULTILINE):
        documented = set(re.findall(r"`(\w+)`", labels)) - {"mig_profile"}
        for family in re.findall(r"`(hydra_box_\w+)`", row):
            assert labels_of(page, family) == documented, family
    for family in re.findall(r"^\| `(hydra_box_engine_\w+)`", theirs, re.MULTILINE):
        assert labels_of(page, family) == {"service", "instance_id", "engine"}, family


def test_buckets_are_as_documented() -> None:
    for name, bounds in (
        ("TTFT", TTFT_BOUNDS),
        ("TPOT", TPOT_BOUNDS),
        ("duration", DURATION_BOUNDS),
    ):
        told = re.search(rf"^\| {name} \| ([\d. ]+) \|", DOCUMENT, re.MULTILINE)
        assert told, name
        assert tuple(map(float, told[1].split())) == bounds
