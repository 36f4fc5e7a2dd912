"""The table of plans in the documentation is what its script makes."""

from __future__ import annotations

import plan_table

from tests.machines import NAMED


def test_the_document_is_what_the_script_makes() -> None:
    hint = "run scripts/plan_table.py and read what has changed"
    assert plan_table.DOCUMENT.read_text(encoding="utf-8") == plan_table.document(), hint


def test_every_model_is_on_every_machine_once() -> None:
    text = plan_table.DOCUMENT.read_text(encoding="utf-8")
    glance, *sections = text.partition("## At a glance")[2].split("\n## ")
    assert [section.partition("\n")[0] for section in sections] == list(NAMED)
    for spec in plan_table.catalog():
        for part in (glance, *sections):
            assert part.count(f"\n| `{spec.id}` |") == 1, (spec.id, part.partition("\n")[0])
