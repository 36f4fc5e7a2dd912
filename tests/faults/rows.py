"""The table of faults: a row for each, written by its test, printed by ``bench.faults``."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.faults.load import Fate, Load, Tally
from tests.faults.patient import HEALING_SECONDS, Patient
from tests.waiting import eventually

TABLE_VARIABLE = "FAULT_TABLE"
"""Names the file to which rows are added, one JSON object a line."""

Injury = Callable[[], Callable[[], bool]]
"""Does some harm, and returns how one sees that the box is whole again."""


class Row(msgspec.Struct, kw_only=True):
    """What a fault did, over all of its rounds."""

    fault: str
    injected: int
    requests: int
    """That were asked for meanwhile."""
    lost: int
    """That had not begun to be answered, and got no answer."""
    unserved: int = 0
    """Of a time without a daemon: refused connections, or ``Retry-After``; not counted as lost."""
    broken: int = 0
    """Answers that broke off."""
    recovery_seconds: list[float] = []
    """From each fault to full service."""
    left: list[str] = []
    """What no instance has any more."""
    note: str = ""

    @property
    def median_seconds(self) -> float:
        """Half of the recoveries were quicker."""
        return statistics.median(self.recovery_seconds) if self.recovery_seconds else 0.0

    @property
    def worst_seconds(self) -> float:
        """The slowest recovery."""
        return max(self.recovery_seconds, default=0.0)


def suffer(patient: Patient, load: Load, injure: Injury, rounds: int) -> list[float]:
    """Do some harm again and again, each time when all is well; how long each recovery took."""
    took = []
    for _ in range(rounds):
        patient.wait_whole()
        load.wait_answered()
        began = time.monotonic()
        whole = injure()
        eventually(whole, HEALING_SECONDS, what="the box is whole again")
        took.append(time.monotonic() - began)
    load.wait_answered()
    return took


def row_of(
    fault: str,
    tally: Tally,
    took: list[float],
    left: list[str],
    *,
    without_daemon: bool = False,
    note: str = "",
) -> Row:
    """A row, added to the table if there is one.

    Args:
        fault: its name in the table.
        tally: of the load during all rounds.
        took: seconds from each fault to full service.
        left: what was left behind.
        without_daemon: the fault takes the daemon away, or every instance: who is told to come
            back, or finds nobody, does not count as lost.
        note: what else is to be said.
    """
    unserved = tally.count(Fate.SENT_AWAY, Fate.UNREACHED)
    failed = tally.count(Fate.FAILED)
    row = Row(
        fault=fault,
        injected=len(took),
        requests=len(tally.requests),
        lost=failed if without_daemon else failed + unserved,
        unserved=unserved if without_daemon else 0,
        broken=tally.count(Fate.BROKEN),
        recovery_seconds=took,
        left=left,
        note=note,
    )
    if path := os.environ.get(TABLE_VARIABLE):
        with Path(path).open("ab") as table:
            table.write(msgspec.json.encode(row) + b"\n")
    return row
