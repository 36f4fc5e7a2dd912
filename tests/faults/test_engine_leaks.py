"""An engine that takes ever more memory: it is replaced before the machine has none left."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.fakes.engine import behave, install_as_built
from tests.faults.census import left_behind
from tests.faults.conftest import Admit, Rounds
from tests.faults.load import Fate
from tests.faults.models import copy_of_demo
from tests.faults.patient import Patient
from tests.faults.rows import row_of, suffer
from tests.waiting import eventually

MOST_BYTES = 1 << 50
"""No machine has so much to spare: an engine that outgrows its budget has to go."""
DROP_BYTES = 8 << 20


def test_an_engine_that_leaks_is_replaced(
    admit: Admit, rounds: Rounds, home: Path, tmp_path: Path
) -> None:
    install_as_built(home / "engines")
    model = copy_of_demo(tmp_path / "models")
    # No real engine leaks on demand.
    behave(model, "--leak", str(DROP_BYTES), "--chunks", "24", "--chunk-delay", "0.001")
    patient = admit(memory_reserve_bytes=MOST_BYTES)
    patient.deploy(instances=2, model=str(model))

    def leak() -> Callable[[], bool]:
        pid = min(patient.pids().values())

        def healed() -> bool:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR1)
            return patient.healed_without(pid)

        return healed

    with patient.load() as load:
        took = suffer(patient, load, leak, rounds(1))
    tally = load.tally()
    row = row_of("an engine leaks", tally, took, left_behind(patient.box))
    assert row.lost == row.broken == 0, tally.details(*set(Fate) - {Fate.OK})
    assert row.left == []
    eventually(lambda: outgrown(patient) >= row.injected, what="every growth is told")
    assert outgrown(patient) == row.injected


def outgrown(patient: Patient) -> int:
    """How often an engine was told to have grown; an event is stored a moment after it is true."""
    told = patient.box.client.recent_events(limit=300)
    return [one.kind for one in told].count("instance.outgrown")
