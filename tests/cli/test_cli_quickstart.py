"""``quickstart``: from nothing to an answer, and again."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from hydra_box.client import Client
from hydra_box.config import resolve_paths
from tests.boxes import PROGRAM
from tests.waiting import eventually

TIMEOUT_SECONDS = 180


def quickstart(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (PROGRAM, "quickstart", *arguments),
        env={**os.environ, "HYDRA_BOX_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def free_port() -> str:
    """One that nobody gets by chance until it is used: the kernel gives out higher ones."""
    while True:
        port = random.randrange(20_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return str(port)


@pytest.fixture
def stopped_afterwards(home: Path) -> Iterator[None]:
    """Ends the daemon that a test has left in the background."""
    yield
    lock = resolve_paths({"HYDRA_BOX_HOME": str(home)}).lock
    if lock.exists() and (pid := lock.read_text().strip()) and psutil.pid_exists(int(pid)):
        os.kill(int(pid), signal.SIGTERM)
        eventually(lambda: not psutil.pid_exists(int(pid)), what="the daemon has ended")


@pytest.mark.usefixtures("stopped_afterwards")
def test_from_nothing_to_an_answer_and_again(home: Path) -> None:
    port = free_port()
    first = quickstart(home, "--port", port)
    assert first.returncode == 0, first.stderr
    assert "the daemon answers at" in first.stderr
    assert "the demo model is deployed on the CPU" in first.stderr
    key = key_in(first.stdout)
    pasted = curl_answer(first.stdout)
    assert pasted["choices"][0]["message"]["content"]
    assert pasted["usage"]["total_tokens"] > 0

    second = quickstart(home, "--json", "--question", "hello!")
    assert second.returncode == 0, second.stderr
    found = json.loads(second.stdout)
    assert "runs already" in second.stderr
    assert "is deployed on the CPU" not in second.stderr
    assert found["url"] == f"http://127.0.0.1:{port}"
    assert found["question"] == "hello!"
    assert found["answer"]
    assert found["key_name"] == "quickstart-2"
    assert found["key"] != key
    assert found["started_daemon"] is False

    paths = resolve_paths({"HYDRA_BOX_HOME": str(home)})
    with Client(socket=paths.management_socket) as client:
        status = client.status()
        assert [service.name for service in status.services] == ["demo"]
        keys = client.keys()
    assert [one.name for one in keys] == ["quickstart", "quickstart-2"]
    assert status.pid == found["pid"]
    assert psutil.Process(status.pid).terminal() is None
    assert os.getsid(status.pid) == status.pid
    assert "Hydra Box" in (paths.logs / "daemon.log").read_text()


def key_in(text: str) -> str:
    """The key in the samples; the same one in each."""
    keys = set(re.findall(r"hb-[A-Za-z0-9_-]{43}", text))
    (key,) = keys
    return str(key)


def curl_answer(text: str) -> dict[str, Any]:
    """What the printed curl call prints, run as it stands."""
    call = text.partition("# curl\n")[2].partition("\n\n")[0]
    words = shlex.split(call.replace("\\\n", " "))
    done = subprocess.run((*words, "--silent", "--max-time", "60"), capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_taken_port_is_told(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        refused = quickstart(home, "--port", port, "--json")
    assert refused.returncode == 5
    assert f"port {port} on 127.0.0.1 is taken" in refused.stderr
    assert "hint: " in refused.stderr
    assert json.loads(refused.stdout)["error"]["code"] == "conflict"


def test_settings_that_are_wrong_are_told(home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text("prot = 1\n")
    refused = quickstart(home)
    assert refused.returncode == 2
    assert "unknown key 'prot'" in refused.stderr
    assert "hint: the nearest is 'port'" in refused.stderr


def test_a_daemon_that_ends_without_a_word_has_its_log_shown(home: Path, tmp_path: Path) -> None:
    home.mkdir(mode=0o700)
    broken = tmp_path / "sitecustomize.py"
    broken.write_text("import sys\nif 'serve' in sys.orig_argv: sys.exit('out of luck')\n")
    done = subprocess.run(
        (PROGRAM, "quickstart"),
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 9
    assert "ended with status 1 before it answered" in done.stderr
    assert "out of luck" in done.stderr
    assert f"hint: the whole log is {home / 'logs' / 'daemon.log'}" in done.stderr


def test_a_box_elsewhere_that_does_not_answer_starts_nothing_here(home: Path) -> None:
    refused = quickstart(home, "--url", f"http://127.0.0.1:{free_port()}")
    assert refused.returncode == 8
    assert not home.exists()
