"""The installed program in a real terminal: the stories by keyboard alone."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest
from console_story import delete, deploy, home, scale, share, start_daemon, trial
from tmux_driver import in_tmux

from hydra_box.client import Client
from hydra_box.config import resolve_paths
from tests.boxes import PROGRAM
from tests.tui.harness import LARGE, SMALL
from tests.waiting import eventually

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


@pytest.mark.parametrize(
    ("size", "term"),
    [(SMALL, "16-colours"), (LARGE, "truecolor")],
    ids=["80x24-16-colours", "140x40-truecolor"],
)
def test_every_story(home_of_box: Path, size: tuple[int, int], term: str) -> None:
    environ = {"HYDRA_BOX_HOME": str(home_of_box), "HYDRA_BOX_PORT": "0"}
    colours = "COLORTERM=truecolor" if term == "truecolor" else "TERM=xterm"
    command = ["env", colours, str(PROGRAM)]
    with in_tmux(command, environ, size=size, name=f"{size[0]}-{term}") as terminal:
        start_daemon(terminal, _unseen)
        deploy(terminal, _unseen)
        trial(terminal, _unseen)
        scale(terminal, _unseen)
        with Client(socket=resolve_paths(environ).management_socket) as client:
            assert client.service("demo").ready_instances == 2
            share(terminal, _unseen)
            (key,) = client.keys()
            assert (key.name, key.disabled_at) == ("my-agent", None)
            assert key.previous_until is not None
            assert [user.name for user in client.users()] == ["local", "mary"]
        delete(terminal, _unseen)
        home(terminal)
        terminal.press("q")
        eventually(lambda: not terminal.alive, what="the console has closed")


@pytest.fixture
def home_of_box(home: Path) -> object:
    yield home
    with Client(socket=resolve_paths(os.environ).management_socket) as client:
        daemon = psutil.Process(client.status().pid)
    daemon.send_signal(signal.SIGTERM)
    daemon.wait(60)


def _unseen(name: str) -> None:
    """Pictures are taken by ``scripts/screenshots.py``."""
