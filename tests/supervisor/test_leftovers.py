"""What is left of an earlier daemon: ended and removed, but for what goes on; all real."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hydra_box.config import Paths
from hydra_box.plan.adoption import Found
from hydra_box.process import identity
from hydra_box.sessions import born_at, leads
from hydra_box.supervisor.leftovers import Leftovers
from tests.samples import an_instance
from tests.waiting import eventually

FORGETS_ITS_NAME = """
import os, subprocess, sys
subprocess.Popen(["sleep", "600"], env={"PATH": os.environ["PATH"]})
if sys.argv[1] == "stay":
    import time
    time.sleep(600)
"""
IGNORES_SIGTERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
"""


@pytest.fixture
def paths(home: Path) -> Paths:
    paths = Paths(home=home, run=home / "run")
    paths.create()
    return paths


@pytest.fixture
def processes() -> Iterator[list[psutil.Process]]:
    started: list[psutil.Process] = []
    yield started
    for one in started:
        if one.is_running():
            one.kill()


def orphan(
    paths: Paths, instance_id: str, command: list[str], processes: list[psutil.Process]
) -> psutil.Process:
    """A session's leader that an ended shell started."""
    started = subprocess.run(
        ["sh", "-c", 'setsid "$@" >/dev/null 2>&1 & echo $!', "sh", *command],
        env={"PATH": os.environ["PATH"], **identity(paths.home, instance_id)},
        capture_output=True,
        check=True,
        text=True,
    )
    process = psutil.Process(int(started.stdout))
    processes.append(process)
    eventually(lambda: is_itself(process), what="it leads its session")
    return process


def is_itself(process: psutil.Process) -> bool:
    """Whether it leads its session; while its program is loaded there is no environment to read."""
    return process.name() not in ("sh", "setsid") and bool(process.environ()) and leads(process.pid)


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_what_goes_on_is_left_alone(paths: Paths, processes: list[psutil.Process]) -> None:
    kept = orphan(paths, "a-00000001", ["sleep", "600"], processes)
    over = orphan(paths, "a-00000002", [sys.executable, "-c", IGNORES_SIGTERM], processes)
    other_box = Paths(home=paths.home / "other", run=paths.run)
    strange = orphan(other_box, "a-00000003", ["sleep", "600"], processes)
    for name in ("00000001", "00000002"):
        (paths.instances / name).mkdir()
    (paths.run / "verify-x").mkdir()

    left = Leftovers(paths)
    assert set(left.leaders) == {
        Found(pid=one.pid, created_at=born_at(one.pid), instance_id=name)
        for one, name in ((kept, "a-00000001"), (over, "a-00000002"))
    }
    assert left.reap([an_instance("a-00000001", pid=kept.pid)]) == [over.pid]
    assert gone(over)
    assert not gone(kept)
    assert not gone(strange)
    assert [one.name for one in paths.instances.iterdir()] == ["00000001"]
    assert not (paths.run / "verify-x").exists()


@pytest.mark.parametrize("leader", ["stay", "go"])
def test_workers_end_that_have_no_name_of_their_own(
    paths: Paths, processes: list[psutil.Process], leader: str
) -> None:
    started = orphan(
        paths, "a-00000001", [sys.executable, "-c", FORGETS_ITS_NAME, "stay"], processes
    )
    (worker,) = eventually(started.children, what="its worker is there")
    processes.append(worker)
    eventually(lambda: worker.name() == "sleep", what="the worker runs")
    left = Leftovers(paths)
    if leader == "go":
        started.kill()
    left.reap([])
    assert gone(started)
    assert gone(worker)
