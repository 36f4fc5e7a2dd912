"""Another process holds the database: the endpoint serves on, and the books are kept elsewhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

from tests.faults.books import recorded, wrong_in_books
from tests.faults.census import left_behind
from tests.faults.conftest import Admit, Rounds
from tests.faults.load import Fate
from tests.faults.rows import row_of, suffer
from tests.waiting import eventually


def test_a_locked_database_stops_no_request_and_costs_none_of_the_books(
    admit: Admit, rounds: Rounds
) -> None:
    patient = admit()
    patient.deploy(instances=2)
    with patient.load() as load:

        def lock() -> Callable[[], bool]:
            with closing(sqlite3.connect(patient.box.paths.database)) as other:
                other.execute("BEGIN EXCLUSIVE")
                # Longer than the books wait between two batches.
                load.wait_answered(200)
                other.rollback()
            return patient.whole

        took = suffer(patient, load, lock, rounds(1))
    tally = load.tally()

    def written() -> bool:
        return wrong_in_books(tally, recorded(patient.box)) == []

    eventually(written, what="all that was delivered is in the books")
    row = row_of("database locked by another process", tally, took, left_behind(patient.box))
    assert row.lost == row.broken == 0, tally.details(*set(Fate) - {Fate.OK})
    assert row.left == []
    assert not list(patient.box.home.glob("usage-journal.unreadable"))
