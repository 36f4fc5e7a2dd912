"""The daemon's own life: alone, stopped in order, killed, and started where it should not be."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil

from hydra_box.messages import DeployRequest
from hydra_box.types import Scope
from tests.boxes import PROGRAM, RunningBox
from tests.conftest import StartBox
from tests.e2e.commands import run
from tests.e2e.streams import chat, leave, open_stream


async def test_sigterm_lets_a_stream_finish_and_leaves_nothing(start_box: StartBox) -> None:
    box = start_box(drain_timeout_seconds=300)
    view = await asyncio.to_thread(box.deploy, DeployRequest(model="demo"))
    key = box.key("k", Scope.INFERENCE)
    (pid,) = [one.pid for one in view.instances]
    body = chat(view.access_name, max_tokens=500, ignore_eos=True, stream=True)
    reader, writer = await open_stream(box.url, key, body)
    first = await reader.readuntil(b"data: ")
    box.process.send_signal(signal.SIGTERM)
    rest = await reader.read()
    await leave(writer)
    assert b"data: [DONE]" in first + rest
    assert await asyncio.to_thread(box.process.wait, 60) == 0
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert not box.paths.management_socket.exists()


def test_a_second_daemon_is_refused_with_the_pid_of_the_first(start_box: StartBox) -> None:
    box = start_box()
    second = run(box, "serve", "--port", "0")
    assert second.returncode == 5
    assert f"a daemon (pid {box.process.pid}) already uses {box.home}" in second.stderr


def test_a_taken_port_is_named_with_who_has_it(start_box: StartBox, tmp_path: Path) -> None:
    box = start_box()
    port = box.url.rpartition(":")[2]
    refused = subprocess.run(
        (PROGRAM, "serve", "--port", port),
        env={**box.environ, "HYDRA_BOX_HOME": str(tmp_path / "other")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 5
    assert f"port {port} on 127.0.0.1 is taken by" in refused.stderr
    assert f"(pid {box.process.pid})" in refused.stderr
    assert "hint: choose another with --port" in refused.stderr


def test_a_state_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "home"
    refused = subprocess.run(
        (PROGRAM, "serve", "--port", "0"),
        env={**os.environ, "HYDRA_BOX_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 9
    assert f"{home} is not writable: Not a directory" in refused.stderr
    assert "hint: set HYDRA_BOX_HOME" in refused.stderr


def test_a_box_without_a_key_is_not_opened_to_the_network(home: Path) -> None:
    refused = subprocess.run(
        (PROGRAM, "serve", "--host", "0.0.0.0", "--port", "0"),
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 2
    assert "0.0.0.0 can be reached from other machines, and this box has no key" in refused.stderr
    assert "hydra-box keys create" in refused.stderr


def test_sockets_and_directories_are_private(start_box: StartBox) -> None:
    box = start_box()
    view = box.deploy(DeployRequest(model="demo"))
    engine_socket = box.paths.instance_socket(view.instances[0].id)
    modes = {
        path: stat.S_IMODE(path.stat().st_mode)
        for path in (
            box.paths.home,
            box.paths.run,
            engine_socket.parent,
            engine_socket,
            box.paths.management_socket,
            box.paths.database,
        )
    }
    assert [path for path, mode in modes.items() if mode & 0o077] == []


BREAKS_ON_DEMAND = """
import os, pathlib
from hydra_box.cli.main import main
from hydra_box.supervisor import Supervisor

decide = Supervisor._decide

def decide_or_break(self, now):
    if pathlib.Path(os.environ["BREAK_FILE"]).exists():
        raise RuntimeError("broken on demand")
    return decide(self, now)

Supervisor._decide = decide_or_break
main()
"""


def test_a_daemon_that_breaks_ends_at_once_and_leaves_its_engines(
    home: Path, tmp_path: Path, start_box: StartBox
) -> None:
    broken = RunningBox(
        home,
        {"BREAK_FILE": str(tmp_path / "break")},
        program=(sys.executable, "-c", BREAKS_ON_DEMAND),
    )
    try:
        view = broken.deploy(DeployRequest(model="demo", name="kept"))
        (tmp_path / "break").touch()
        assert broken.process.wait(60) == 1
        assert "RuntimeError: broken on demand" in broken.output.read_text()
    finally:
        broken.stop()
    again = start_box()
    (kept,) = again.wait_running("kept").instances
    assert (kept.pid, kept.restarts) == (view.instances[0].pid, 0)
