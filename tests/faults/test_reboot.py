"""A reboot: every process is gone at once, and so is what lay in the run directory."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable

from hydra_box.messages import DeployRequest
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


def test_everything_comes_back_after_a_reboot_the_important_first(
    admit: Admit, rounds: Rounds
) -> None:
    patient = admit()
    patient.box.wait_verified()
    patient.box.deploy(DeployRequest(model="demo", name=LESSER, priority=10))
    patient.deploy(instances=2, priority=90)
    orders: list[list[str]] = []

    def reboot() -> Callable[[], bool]:
        seen = patient.box.client.recent_events(limit=1)[-1].id
        pull_the_plug(patient)
        patient.start_daemon()

        def whole() -> bool:
            if not all(is_whole(one) for one in patient.box.client.services()):
                return False
            events = patient.box.client.recent_events(limit=1000)
            ready = [one for one in events if one.kind == "instance.ready" and one.id > seen]
            if len(ready) < INSTANCES:
                return False  # An event is stored a moment after it is true.
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
