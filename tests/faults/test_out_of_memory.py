"""The kernel ends an engine for want of memory."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from tests.faults.census import left_behind
from tests.faults.cgroups import memory_group
from tests.faults.conftest import Admit, Rounds
from tests.faults.load import Fate
from tests.faults.patient import FORGIVING, Patient
from tests.faults.rows import row_of, suffer
from tests.waiting import eventually

PAGE_BYTES = 4096


def test_an_engine_that_the_kernel_ends_for_its_memory_is_replaced(
    admit: Admit, rounds: Rounds
) -> None:
    patient = admit(program=FORGIVING)
    patient.deploy(instances=2)
    with memory_group(PAGE_BYTES) as group, patient.load() as load:

        def starve() -> Callable[[], bool]:
            pid = min(patient.pids().values())
            if group is None:
                # What the kernel does then, as far as anybody can see.
                os.kill(pid, signal.SIGKILL)
            else:
                group.take(pid)
            return lambda: patient.healed_without(pid)

        took = suffer(patient, load, starve, rounds(1))
    tally = load.tally()
    how = "SIGKILL in its place" if group is None else "by a limit of its cgroup"
    row = row_of("out-of-memory kill", tally, took, left_behind(patient.box), note=how)
    assert row.lost == 0, tally.details(*set(Fate) - {Fate.OK})
    assert row.left == []
    eventually(lambda: len(ended(patient)) >= row.injected, what="every end is told")
    assert len(ended(patient)) == row.injected
    assert all("memory" in one for one in ended(patient)), ended(patient)


def ended(patient: Patient) -> list[str]:
    """What the box told of engines that ended; an event is stored a moment after it is true."""
    told = patient.box.client.recent_events(limit=200)
    return [one.message for one in told if one.kind == "instance.exited"]
