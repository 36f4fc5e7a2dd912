"""SIGKILL of an engine: its service has another, and nobody who waits for an answer sees it."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable

from tests.faults.census import left_behind
from tests.faults.conftest import Admit, Rounds
from tests.faults.load import Fate
from tests.faults.patient import FORGIVING
from tests.faults.rows import row_of, suffer


def test_the_kill_of_one_of_two_engines_loses_nothing(admit: Admit, rounds: Rounds) -> None:
    patient = admit(program=FORGIVING)
    patient.deploy(instances=2)
    turns = itertools.count()

    def kill() -> Callable[[], bool]:
        pids = list(patient.pids().values())
        victim = pids[next(turns) % len(pids)]
        os.kill(victim, signal.SIGKILL)
        return lambda: patient.healed_without(victim)

    with patient.load() as load:
        took = suffer(patient, load, kill, rounds(2))
    row = row_of("SIGKILL of an engine, 2 instances", load.tally(), took, left_behind(patient.box))
    assert row.lost == 0, load.tally().details(Fate.FAILED, Fate.SENT_AWAY, Fate.UNREACHED)
    assert row.left == []
    assert sum(one.restarts for one in patient.view().instances) == row.injected
