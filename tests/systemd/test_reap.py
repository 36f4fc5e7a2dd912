"""What ends engines after a stop, and lets them live after a crash."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hydra_box.config import resolve_paths
from hydra_box.process import identity
from hydra_box.sockets import lock
from tests.cli.conftest import Cli
from tests.waiting import eventually


@pytest.fixture
def engine(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that an earlier daemon of this box has started."""
    paths = resolve_paths(os.environ)
    paths.create()
    paths.lock.touch()
    with subprocess.Popen(
        ("sleep", "600"), env=identity(home, "demo-00000001"), start_new_session=True
    ) as process:
        # While a program is loaded there is no environment to read.
        eventually(psutil.Process(process.pid).environ, what="it is loaded")
        yield process
        process.kill()


@pytest.mark.parametrize("result", ["success", "timeout", None])
def test_after_a_stop_engines_end(
    cli: Cli,
    engine: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    result: str | None,
) -> None:
    if result is not None:
        monkeypatch.setenv("SERVICE_RESULT", result)
    assert cli("systemd", "reap", "--json").json == {"ended": [engine.pid]}
    assert engine.poll() is not None


@pytest.mark.parametrize("result", ["signal", "core-dump", "watchdog", "exit-code", "oom-kill"])
def test_after_a_crash_they_live(
    cli: Cli, engine: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, result: str
) -> None:
    monkeypatch.setenv("SERVICE_RESULT", result)
    assert cli("systemd", "reap", "--json").json == {"ended": []}
    assert engine.poll() is None


def test_those_of_a_daemon_that_runs_are_its_own(cli: Cli, engine: subprocess.Popen[bytes]) -> None:
    with lock(resolve_paths(os.environ)):
        refused = cli("systemd", "reap")
    assert refused.status == 5
    assert engine.poll() is None


def test_a_box_that_never_was_has_none(cli: Cli, home: Path) -> None:
    assert cli("systemd", "reap", "--json").json == {"ended": []}
    assert not home.exists()
