"""The database is damaged while nobody looks: the next daemon goes back to the last backup."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

from tests.faults.census import left_behind
from tests.faults.conftest import Admit, Rounds
from tests.faults.load import Fate
from tests.faults.patient import Patient
from tests.faults.rows import row_of, suffer
from tests.waiting import eventually

PAGE_BYTES = 4096


def back_up(patient: Patient) -> None:
    """Have the box make the backup that it makes when it starts and has none."""
    backups = patient.box.paths.backups
    patient.kill_daemon()
    for one in backups.glob("*.db"):
        one.unlink()
    patient.start_daemon()
    eventually(lambda: list(backups.glob("*.db")), what="there is a backup")


def damage(patient: Patient) -> None:
    """Write over all pages but the first, once none is in the log."""
    path = patient.box.paths.database
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = path.stat().st_size
    assert size > PAGE_BYTES
    with path.open("r+b") as file:
        file.seek(PAGE_BYTES)
        file.write(b"\xa5" * (size - PAGE_BYTES))


def test_a_damaged_database_is_set_aside_and_the_engines_go_on(
    admit: Admit, rounds: Rounds
) -> None:
    patient = admit()
    patient.deploy(instances=2)
    engines = patient.pids()

    def strike() -> Callable[[], bool]:
        back_up(patient)
        patient.wait_whole()
        patient.kill_daemon()
        damage(patient)
        patient.start_daemon()
        return patient.whole

    with patient.load() as load:
        took = suffer(patient, load, strike, rounds(1))
    tally, left = load.tally(), left_behind(patient.box)
    row = row_of("the database is damaged", tally, took, left, without_daemon=True)
    assert row.lost == 0, tally.details(Fate.FAILED)
    assert row.left == []
    assert patient.pids() == engines
    assert len(list(patient.box.home.glob("hydra-box.db.damaged-*Z"))) == row.injected
    told = patient.box.client.status().attention
    assert any("damaged" in one.message for one in told), told
