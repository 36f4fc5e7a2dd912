"""The state directory cannot be written any more: what runs goes on, and mends itself later."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hydra_box.types import InstanceState
from tests.boxes import PROGRAM
from tests.faults.books import recorded, wrong_in_books
from tests.faults.census import left_behind, processes_of
from tests.faults.conftest import Admit, Rounds
from tests.faults.load import Fate
from tests.faults.patient import FORGIVING
from tests.faults.rows import row_of, suffer
from tests.waiting import eventually

WITHOUT = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Root obeys a file's mode, too, once it has lost these."""


def obedient(*program: str | Path) -> tuple[str | Path, ...]:
    """A program that a directory's mode holds off, whoever runs it."""
    if os.geteuid() != 0:
        return program
    if shutil.which(WITHOUT[0]) is None:
        pytest.skip("root writes everywhere, and there is no setpriv to take that away")
    return (*WITHOUT, *program)


@contextmanager
def read_only(home: Path) -> Iterator[None]:
    """Nothing can be made in a directory, or in one below it, while the block runs."""
    directories = [home, *(one for one in home.rglob("*") if one.is_dir())]
    for one in directories:
        one.chmod(0o500)
    try:
        yield
    finally:
        for one in directories:
            if one.exists():
                one.chmod(0o700)


def test_a_state_directory_that_becomes_read_only(admit: Admit, rounds: Rounds) -> None:
    patient = admit(program=obedient(*FORGIVING))
    patient.deploy(instances=2)

    def freeze() -> Callable[[], bool]:
        instance_id, pid = min(patient.pids().items())
        with read_only(patient.box.home):
            os.kill(pid, signal.SIGKILL)

            def refused() -> bool:
                (one,) = [one for one in patient.view().instances if one.id == instance_id]
                waits = one.state is InstanceState.BACKOFF and one.restarts > 0
                return waits and "Permission denied" in str(one.reason)

            eventually(refused, what="its engine could not be started")
        return lambda: patient.healed_without(pid)

    with patient.load() as load:
        took = suffer(patient, load, freeze, rounds(1))
    tally = load.tally()

    def written() -> bool:
        return wrong_in_books(tally, recorded(patient.box)) == []

    eventually(written, what="all that was delivered is in the books")
    row = row_of("the state directory is read-only", tally, took, left_behind(patient.box))
    assert row.lost == 0, tally.details(*set(Fate) - {Fate.OK})
    assert row.left == []


def test_a_daemon_that_cannot_write_does_not_start_and_harms_no_engine(admit: Admit) -> None:
    patient = admit(program=obedient(PROGRAM))
    patient.deploy(instances=1)
    engines = patient.pids()
    patient.kill_daemon()
    with read_only(patient.box.home):
        refused = subprocess.run(
            (*patient.program, "serve", "--port", "0"),
            env=patient.box.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert refused.returncode == 9, refused.stderr
        assert "is not writable: Permission denied" in refused.stderr
        assert {one.pid for one in processes_of(patient.box)} == set(engines.values())
    patient.start_daemon()
    patient.wait_whole()
    assert patient.pids() == engines
