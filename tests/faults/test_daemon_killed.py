"""SIGKILL of the daemon: the engines live on, the next daemon adopts them, and the books hold."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.faults.books import recorded, wrong_in_books
from tests.faults.census import left_behind
from tests.faults.conftest import Admit, Rounds
from tests.faults.load import Fate
from tests.faults.patient import Patient
from tests.faults.rows import row_of, suffer


def loads(patient: Patient) -> int:
    """How often the logs of its engines say that a process was started."""
    logs = patient.box.paths.logs.glob("story-*.log")
    return sum(one.read_bytes().count(b"--- hydra-box starts a process ---") for one in logs)


def test_a_killed_daemon_takes_no_engine_with_it(admit: Admit, rounds: Rounds) -> None:
    patient = admit()
    patient.deploy(instances=2)
    engines, loaded = patient.pids(), loads(patient)
    silent_seconds: list[float] = []

    with patient.load() as load:

        def kill() -> Callable[[], bool]:
            killed_at = time.monotonic()
            patient.kill_daemon()
            patient.start_daemon()
            first = load.wait_answered(after=killed_at)
            silent_seconds.append((first.first_at or first.ended_at) - killed_at)
            return patient.whole

        took = suffer(patient, load, kill, rounds(2))
        assert patient.pids() == engines
    tally = load.tally()
    row = row_of(
        "SIGKILL of the daemon, 2 engines",
        tally,
        took,
        left_behind(patient.box),
        without_daemon=True,
        note=f"without service {max(silent_seconds):.2f} s at worst",
    )
    assert row.lost == 0, tally.details(Fate.FAILED)
    assert row.left == []
    assert loads(patient) == loaded, "a model was loaded again"
    assert wrong_in_books(tally, recorded(patient.box)) == []
    events = patient.box.client.recent_events(limit=1000)
    assert not [one for one in events if one.kind == "daemon.reaped"]
