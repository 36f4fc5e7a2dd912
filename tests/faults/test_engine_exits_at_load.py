"""An engine that ends while it loads: tried again less and less often, and the other serves on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from hydra_box.types import InstanceState
from tests.faults.census import left_behind
from tests.faults.conftest import Admit, Rounds
from tests.faults.load import Fate
from tests.faults.models import copy_of_demo, mend, spoil
from tests.faults.patient import FORGIVING
from tests.faults.rows import row_of, suffer
from tests.waiting import eventually


def test_an_engine_that_ends_while_it_loads_costs_no_request(
    admit: Admit, rounds: Rounds, tmp_path: Path
) -> None:
    patient = admit(program=FORGIVING)
    model = copy_of_demo(tmp_path / "models")
    patient.deploy(instances=2, model=str(model))

    def injure() -> Callable[[], bool]:
        instance_id, pid = min(patient.pids().items())
        spoil(model)
        os.kill(pid, signal.SIGKILL)

        def refused() -> bool:
            (one,) = [one for one in patient.view().instances if one.id == instance_id]
            ended = one.state is InstanceState.BACKOFF and one.restarts > 0
            return ended and "tokenizer" in (one.reason or "")

        eventually(refused, what="it has ended while it loaded")
        mend(model)
        return lambda: patient.healed_without(pid)

    with patient.load() as load:
        took = suffer(patient, load, injure, rounds(1))
    tally = load.tally()
    row = row_of("an engine exits at load, 2 instances", tally, took, left_behind(patient.box))
    assert row.lost == 0, tally.details(*set(Fate) - {Fate.OK})
    assert row.left == []
