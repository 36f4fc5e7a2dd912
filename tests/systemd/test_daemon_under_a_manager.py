"""A real daemon, and a manager that starts it and hears it as systemd would."""

from __future__ import annotations

import http.client
import signal
import socket
from pathlib import Path

from hydra_box.client import Client
from hydra_box.config import resolve_paths
from hydra_box.sockets import endpoint
from tests.boxes import STOP_TIMEOUT_SECONDS
from tests.systemd.manager import Manager, bound


def test_it_is_ready_once_it_answers_and_is_well_until_it_stops(
    manager: Manager, home: Path
) -> None:
    process = manager.start({"WATCHDOG_USEC": "1000000"})
    started = manager.hear_until("READY=1")
    with Client(socket=resolve_paths({"HYDRA_BOX_HOME": str(home)}).management_socket) as client:
        # At the first try, without waiting.
        assert client.status().pid == process.pid
    assert not [one for one in started if one.startswith(("STOPPING", "RELOADING"))]
    # Before it opens its database, which may take longer than the watchdog waits.
    assert started[0].startswith("EXTEND_TIMEOUT_USEC=")
    manager.hear_until("STATUS=answers")
    for _ in range(2):
        manager.hear_until("WATCHDOG=1")
    process.send_signal(signal.SIGTERM)
    last = manager.hear_until("STOPPING=1")[-1]
    assert last == "STOPPING=1\nSTATUS=stopping: requests under way may finish"
    manager.hear_until("EXTEND_TIMEOUT_USEC=90000000")
    assert process.wait(STOP_TIMEOUT_SECONDS) == 0


def test_a_request_made_before_the_daemon_starts_is_answered(manager: Manager) -> None:
    with (
        bound() as listener,
        socket.create_connection(listener.getsockname(), timeout=60) as early,
    ):
        early.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        manager.start({}, listener=listener)
        answer = http.client.HTTPResponse(early)
        answer.begin()
        assert answer.status == 200
        port = listener.getsockname()[1]
        manager.hear_until("READY=1")
    assert f"answers at http://127.0.0.1:{port} " in manager.output()


def test_its_log_has_levels_and_says_where_it_hung(manager: Manager) -> None:
    process = manager.start({})
    manager.hear_until("READY=1")
    process.send_signal(signal.SIGABRT)
    assert process.wait(STOP_TIMEOUT_SECONDS) == -signal.SIGABRT
    output = manager.output()
    assert "<6>Hydra Box " in output
    assert "Fatal Python error: Aborted" in output
    assert "hydra_box/daemon.py" in output


def test_a_socket_that_was_handed_over_is_the_endpoint() -> None:
    with bound() as listener, endpoint((listener,), "127.0.0.1", 1) as used:
        assert used is listener


def test_without_one_the_address_is_that_of_the_settings() -> None:
    with socket.socket(socket.AF_UNIX) as other, endpoint((other,), "127.0.0.1", 0) as used:
        assert used.getsockname()[0] == "127.0.0.1"
