"""The disk of the logs is full: what cannot be written there stops neither requests nor starts."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.faults.census import left_behind
from tests.faults.conftest import Admit, Rounds
from tests.faults.load import Fate
from tests.faults.patient import FORGIVING
from tests.faults.rows import row_of, suffer

FULL = Path("/dev/full")
"""Every write to it fails with "No space left on device" (full(4))."""


def test_an_engine_starts_and_serves_without_room_for_its_log(admit: Admit, rounds: Rounds) -> None:
    patient = admit(program=FORGIVING)
    patient.deploy(instances=2)

    def fill() -> Callable[[], bool]:
        instance_id, pid = min(patient.pids().items())
        log = patient.box.paths.instance_log(instance_id)
        log.unlink()
        log.symlink_to(FULL)
        os.kill(pid, signal.SIGKILL)
        return lambda: patient.healed_without(pid)

    with patient.load() as load:
        took = suffer(patient, load, fill, rounds(1))
        load.wait_answered(50)
    tally = load.tally()
    row = row_of("the disk of the logs is full", tally, took, left_behind(patient.box))
    assert row.lost == 0, tally.details(*set(Fate) - {Fate.OK})
    assert row.left == []
