"""The clock is set back by a day, and forward again, while everything goes on."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from hydra_box.types import InstanceState
from tests.faults.books import recorded, wrong_in_books
from tests.faults.census import left_behind
from tests.faults.clocks import ShiftedClock
from tests.faults.conftest import Admit, Rounds
from tests.faults.load import Fate
from tests.faults.patient import FORGIVING, Patient
from tests.faults.rows import row_of, suffer
from tests.waiting import eventually

DAY_SECONDS = 86_400


def test_a_clock_that_is_set_back_holds_up_no_request_and_no_restart(
    admit: Admit, rounds: Rounds, tmp_path: Path
) -> None:
    clock = ShiftedClock(tmp_path)
    patient = admit(program=FORGIVING, environ=clock.environ)
    patient.deploy(instances=2)

    def set_back() -> Callable[[], bool]:
        instance_id, pid = min(patient.pids().items())
        os.kill(pid, signal.SIGKILL)

        def waits() -> bool:
            (one,) = [one for one in patient.view().instances if one.id == instance_id]
            if one.state is InstanceState.READY and one.pid not in (None, pid):
                # It was started again before anybody looked.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGKILL)
            return one.state is InstanceState.BACKOFF

        eventually(waits, what="the instance waits to be started again")
        clock.set(-DAY_SECONDS)
        return lambda: patient.healed_without(pid)

    with patient.load() as load:
        took = suffer(patient, load, set_back, rounds(1))
        eventually(lambda: any("clock" in one for one in told(patient)), what="it is told")
        clock.set(0)
        load.wait_answered(20)
    tally = load.tally()
    row = row_of("the clock is set back by a day", tally, took, left_behind(patient.box))
    assert row.lost == 0, tally.details(*set(Fate) - {Fate.OK})
    assert row.left == []
    assert wrong_in_books(tally, recorded(patient.box)) == []


def told(patient: Patient) -> list[str]:
    return [one.message for one in patient.box.client.recent_events(limit=300)]
