from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hydra_box.cli import console
from hydra_box.cli.options import Options
from hydra_box.client import Client
from hydra_box.config import resolve_paths
from hydra_box.errors import StateError
from tests.cli.terminal import on_a_terminal
from tests.waiting import eventually


def test_it_opens_on_a_terminal_and_q_closes_it() -> None:
    with on_a_terminal({"TERM": "xterm-256color"}) as terminal:
        terminal.read_until("No daemon runs")
        terminal.type("q")
        status, _ = terminal.finish()
    assert status == 0


def test_a_url_that_is_none_is_told_before_anything_is_drawn() -> None:
    with on_a_terminal({"TERM": "xterm-256color"}, "--url", "nonsense") as terminal:
        status, screen = terminal.finish()
    assert status == 2
    assert "'nonsense' is not the address of a box" in screen


def test_a_daemon_of_its_own_ends_with_the_console(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_BOX_PORT", "0")
    daemon = console._OwnDaemon()
    daemon.start(Options())
    with Client(socket=resolve_paths(os.environ).management_socket) as client:
        pid = client.status().pid
    daemon.stop()
    eventually(lambda: not Path(f"/proc/{pid}").exists(), what="the daemon has ended")
    daemon.stop()


def test_an_installed_unit_is_offered_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    systemctl = programs / "systemctl"
    systemctl.write_text(
        '#!/bin/sh\necho "$@" >> "$0.log"\n[ ! -e "$0.fails" ] || { echo no >&2; exit 1; }\n'
    )
    systemctl.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    units = tmp_path / ".config" / "systemd" / "user"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [way.key for way in ways()] == ["b", "c"]
    units.mkdir(parents=True)
    (units / console.UNIT).touch()
    system, *others = ways()
    assert [way.key for way in others] == ["b", "c"]
    assert system.detail == f"systemctl --user start {console.UNIT}"
    system.start()
    assert Path(f"{systemctl}.log").read_text() == f"--user start {console.UNIT}\n"
    Path(f"{systemctl}.fails").touch()
    with pytest.raises(StateError, match="failed: no"):
        system.start()


def ways() -> list[console.Way]:
    return console.ways(Options(), console._OwnDaemon())
