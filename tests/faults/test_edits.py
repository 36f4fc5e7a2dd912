"""``edit`` under load: to something that works, and to something that cannot start."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from hydra_box.messages import EditRequest
from tests.faults.census import left_behind
from tests.faults.conftest import Admit, Rounds
from tests.faults.load import Fate
from tests.faults.models import copy_of_demo, mend, spoil
from tests.faults.rows import row_of, suffer

CONTEXTS = (1024, 2048)


def test_an_edit_of_two_instances_loses_nothing(admit: Admit, rounds: Rounds) -> None:
    patient = admit()
    patient.deploy(instances=2, context_length=CONTEXTS[1])
    contexts = itertools.cycle(CONTEXTS)

    def edit() -> Callable[[], bool]:
        old, wanted = patient.pids().values(), next(contexts)
        patient.box.client.edit("story", EditRequest(context_length=wanted))
        return lambda: patient.healed_without(*old)

    with patient.load() as load:
        took = suffer(patient, load, edit, rounds(1))
    tally = load.tally()
    row = row_of("edit under load, 2 instances", tally, took, left_behind(patient.box))
    assert row.lost == row.broken == 0, tally.details(*set(Fate) - {Fate.OK})
    assert row.left == []


def test_an_edit_to_what_cannot_start_goes_back_and_loses_nothing(
    admit: Admit, rounds: Rounds, tmp_path: Path
) -> None:
    patient = admit()
    model = copy_of_demo(tmp_path / "models")
    patient.deploy(instances=2, model=str(model), context_length=CONTEXTS[1])

    def edit() -> Callable[[], bool]:
        seen = patient.box.client.recent_events(limit=1)[-1].id
        spoil(model)
        patient.box.client.edit("story", EditRequest(context_length=CONTEXTS[0]))

        def back() -> bool:
            told = [one for one in patient.box.client.recent_events() if one.id > seen]
            rolled_back = any(one.kind == "service.rolled_back" for one in told)
            same = patient.view().context_length == CONTEXTS[1]
            return rolled_back and same and patient.whole()

        return back

    with patient.load() as load:
        took = suffer(patient, load, edit, rounds(1))
        mend(model)
        load.wait_answered(20)
    tally = load.tally()
    row = row_of("edit to what cannot start", tally, took, left_behind(patient.box))
    assert row.lost == row.broken == 0, tally.details(*set(Fate) - {Fate.OK})
    assert row.left == []
