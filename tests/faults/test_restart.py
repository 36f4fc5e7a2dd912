"""``hydra-box restart`` under load: a new daemon, the same engines, and no client sees it."""

from __future__ import annotations

from collections.abc import Callable

from tests.e2e.commands import run
from tests.faults.books import recorded, wrong_in_books
from tests.faults.census import left_behind
from tests.faults.conftest import Admit, Rounds
from tests.faults.load import Fate
from tests.faults.rows import row_of, suffer


def test_a_restart_refuses_no_connection_and_loses_no_request(admit: Admit, rounds: Rounds) -> None:
    patient = admit()
    patient.deploy(instances=2)
    engines, daemon = patient.pids(), patient.box.process.pid

    def restart() -> Callable[[], bool]:
        before = patient.box.client.status().started_at
        done = run(patient.box, "restart", "--wait")
        assert done.returncode == 0, done.stderr
        after = patient.box.client.status()
        assert after.started_at > before
        assert after.pid == daemon
        return patient.whole

    with patient.load() as load:
        took = suffer(patient, load, restart, rounds(2))
    tally = load.tally()
    row = row_of("hydra-box restart under load", tally, took, left_behind(patient.box))
    assert row.lost == row.broken == 0, tally.details(*set(Fate) - {Fate.OK})
    assert row.left == []
    assert patient.pids() == engines
    assert wrong_in_books(tally, recorded(patient.box)) == []
