"""An engine that stands still, with its process there: found, ended and replaced."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from tests.faults.census import left_behind
from tests.faults.conftest import Admit, Rounds
from tests.faults.load import Fate
from tests.faults.patient import FORGIVING
from tests.faults.rows import row_of, suffer


def test_an_engine_that_stands_still_is_replaced(admit: Admit, rounds: Rounds) -> None:
    patient = admit(program=FORGIVING, hang_timeout_seconds=4, probe_interval_seconds=2)
    patient.deploy(instances=2)

    def stop() -> Callable[[], bool]:
        pid = min(patient.pids().values())
        os.kill(pid, signal.SIGSTOP)
        return lambda: patient.healed_without(pid)

    with patient.load() as load:
        took = suffer(patient, load, stop, rounds(1))
    tally = load.tally()
    row = row_of("an engine hangs (SIGSTOP)", tally, took, left_behind(patient.box))
    assert row.lost == 0, tally.details(*set(Fate) - {Fate.OK})
    assert row.left == []
