"""A reboot: every process is gone at once, and so is what lay in the run directory."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable

from hydra_box.messages import DeployRequest
from hydra_box.types import Event
from tests.faults.books import recorded, wrong_in_books
from tests.faults.census import left_behind, processes_of
from tests.faults.conftest import Admit, Rounds
from tests.faults.load import Fate
from tests.faults.patient import Patient, is_whole
from tests.faults.rows import row_of, suffer
from tests.waiting import eventually

LESSER = "lesser"
INSTANCES = 3


def pull_the_plug(patient: Patient) -> None:
    """End everything, the daemon first, so that it does not tidy up."""
    patient.kill_daemon()
    engines = list(processes_of(patient.box))
    for one in engines:
        os.kill(one.pid, signal.SIGKILL)
    eventually(lambda: not any(one.is_running() for one in engines), what="all engines are gone")
    shutil.rmtree(patient.box.paths.run)


def all_ready(patient: Patient, *, after: int) -> list[Event]:
    """What is told of instances that got ready after an event, once it is told of all of them.

    An event is stored a moment after it is true.
    """
    events = patient.box.client.recent_events(limit=1000)
    ready = [one for one in events if one.kind == "instance.ready" and one.id > after]
    return ready if len(ready) >= INSTANCES else []


def test_everything_comes_back_after_a_reboot_the_important_first(
    admit: Admit, rounds: Rounds
) -> None:
    # One after another: of two that load at once either may be ready first.
    patient = admit(load_parallelism=1)
    patient.box.wait_verified()
    patient.box.deploy(DeployRequest(model="demo", name=LESSER, priority=10))
    patient.deploy(instances=2, priority=90)
    orders: list[list[str]] = []
    seen = 0

    def reboot() -> Callable[[], bool]:
        nonlocal seen
        before = eventually(lambda: all_ready(patient, after=seen), what="all are told to be ready")
        seen = before[-1].id
        pull_the_plug(patient)
        patient.start_daemon()

        def whole() -> bool:
            if not all(is_whole(one) for one in patient.box.client.services()):
                return False
            if not (ready := all_ready(patient, after=seen)):
                return False
            orders.append([str(one.service_name) for one in ready])
            return True

        return whole

    with patient.load() as load:
        took = suffer(patient, load, reboot, rounds(1))
    tally = load.tally()
    row = row_of("a reboot", tally, took, left_behind(patient.box), without_daemon=True)
    assert row.lost == 0, tally.details(Fate.FAILED)
    assert row.left == []
    # Every service has its first instance before any has its second.
    assert orders == [["story", LESSER, "story"]] * row.injected
    assert wrong_in_books(tally, recorded(patient.box)) == []
