"""Sockets that a manager opened: who may use them, and what is refused."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hydra_box.sockets import inherited
from tests.systemd.manager import bound

TRY = """
import os, socket, sys
from hydra_box.errors import ConfigError
from hydra_box.sockets import inherited
os.dup2(int(sys.argv[1]), 3, inheritable=True)
os.environ |= {"LISTEN_PID": sys.argv[2] or str(os.getpid()), "LISTEN_FDS": "1"}
os.environ["LISTEN_FDNAMES"] = "http"
try:
    found = inherited(os.environ)
except ConfigError as error:
    sys.exit(error.message)
print([one.getsockname()[1] for one in found], [os.get_inheritable(one.fileno()) for one in found])
print([name for name in os.environ if name.startswith("LISTEN_")])
"""


def hand_over(descriptor: int, pid: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-c", TRY, str(descriptor), pid),
        pass_fds=(descriptor,),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_socket_is_taken_and_goes_no_further() -> None:
    with bound() as listener:
        port = listener.getsockname()[1]
        done = hand_over(listener.fileno())
    assert done.stdout == f"[{port}] [False]\n[]\n", done.stderr


def test_what_is_for_another_process_is_left_alone() -> None:
    with bound() as listener:
        done = hand_over(listener.fileno(), pid="1")
    assert done.stdout == "[] []\n[]\n", done.stderr


def test_a_file_is_no_socket(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        done = hand_over(file.fileno())
    assert done.stderr == "descriptor 3, which LISTEN_FDS hands over, is no listening socket\n"


def test_a_connection_is_no_listening_socket() -> None:
    with bound() as listener, socket.create_connection(listener.getsockname()) as connection:
        done = hand_over(connection.fileno())
    assert "is no listening socket" in done.stderr


@pytest.mark.parametrize("variables", [{}, {"LISTEN_PID": str(os.getpid())}, {"LISTEN_FDS": "1"}])
def test_without_both_variables_there_is_none(variables: dict[str, str]) -> None:
    assert inherited(variables) == ()
    assert variables == {}
