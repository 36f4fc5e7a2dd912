"""Daemons that are started at once on one state directory: one of them is the daemon."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable

from hydra_box.client import Client
from hydra_box.errors import HydraError
from tests.boxes import PROGRAM
from tests.e2e.balance import answers
from tests.faults.census import left_behind
from tests.faults.conftest import Admit, Rounds
from tests.faults.load import Fate, Tally
from tests.faults.patient import Patient, is_whole
from tests.faults.rows import row_of, suffer
from tests.waiting import eventually

RIVALS = 3


def test_a_second_daemon_changes_nothing_for_the_first(admit: Admit, rounds: Rounds) -> None:
    patient = admit()
    patient.deploy(instances=2)
    engines = patient.pids()

    def start_another() -> Callable[[], bool]:
        second = subprocess.run(
            (PROGRAM, "serve", "--port", "0"),
            env=patient.box.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode == 5
        assert f"a daemon (pid {patient.box.process.pid}) already uses" in second.stderr
        return patient.whole

    with patient.load() as load:
        took = suffer(patient, load, start_another, rounds(1))
    tally = load.tally()
    row = row_of("a second daemon is started", tally, took, left_behind(patient.box))
    assert row.lost == row.broken == 0, tally.details(*set(Fate) - {Fate.OK})
    assert row.left == []
    assert patient.pids() == engines


def test_of_daemons_started_at_once_one_serves(admit: Admit, rounds: Rounds) -> None:
    patient = admit()
    patient.deploy(instances=1)
    took: list[float] = []
    for _ in range(rounds(1)):
        patient.kill_daemon()
        began = time.monotonic()
        statuses = start_rivals(patient)
        assert sorted(statuses) == [-signal.SIGKILL] + [5] * (RIVALS - 1)
        patient.start_daemon()
        patient.wait_whole()
        took.append(time.monotonic() - began)
    row = row_of("daemons started at once", Tally(), took, left_behind(patient.box))
    assert row.left == []


def start_rivals(patient: Patient) -> list[int]:
    """Their exit statuses; the one that serves is killed then."""
    rivals = [
        subprocess.Popen(
            (PROGRAM, "serve", "--port", "0"),
            env=patient.box.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(RIVALS)
    ]
    try:
        eventually(lambda: over(rivals) == RIVALS - 1, what="all but one have ended")
        eventually(lambda: serves(patient), what="one serves", ignoring=(HydraError,))
    finally:
        for one in rivals:
            one.kill()
    return [one.wait() for one in rivals]


def over(processes: list[subprocess.Popen[bytes]]) -> int:
    return sum(one.poll() is not None for one in processes)


def serves(patient: Patient) -> bool:
    socket = patient.box.paths.management_socket
    # A client that could not connect leaves a socket to the garbage collector, which warns of it.
    if not answers(socket):
        return False
    with Client(socket=socket) as client:
        return is_whole(client.service("story"))
