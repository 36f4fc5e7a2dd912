"""What a service manager is to a daemon: a socket that listens, one that is handed over, a log."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.boxes import PROGRAM, START_TIMEOUT_SECONDS, STOP_TIMEOUT_SECONDS

EXECUTE = """
import os, sys
os.dup2(int(sys.argv[1]), 3, inheritable=True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http"}
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Between fork and exec, as systemd does: only there is the pid of the daemon known."""


class Manager:
    """Starts daemons and hears what they say.

    Args:
        directory: short enough for the names of sockets.
        abstract: whether its socket has a name that is in no directory.
    """

    def __init__(self, directory: Path, *, abstract: bool = False) -> None:
        self.name = f"@{directory}/notify" if abstract else f"{directory}/notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{self.name[1:]}" if abstract else self.name)
        self._log = directory / "output"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(
        self, environ: Mapping[str, str], *, listener: socket.socket | None = None
    ) -> subprocess.Popen[bytes]:
        """Start ``hydra-box serve``, with a socket to serve on if one is given."""
        command: tuple[str | Path, ...] = (PROGRAM, "serve", "--port", "0")
        if listener is not None:
            command = (sys.executable, "-c", EXECUTE, str(listener.fileno()), *command)
        with self._log.open("ab") as log:
            about = os.fstat(log.fileno())
            journal = {"JOURNAL_STREAM": f"{about.st_dev}:{about.st_ino}"}
            process = subprocess.Popen(
                command,
                env={**os.environ, **environ, **journal, "NOTIFY_SOCKET": self.name},
                pass_fds=() if listener is None else (listener.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def hear(self) -> str:
        """The next thing that a daemon says."""
        self._socket.settimeout(START_TIMEOUT_SECONDS)
        return self._socket.recv(65536).decode()

    def hear_until(self, text: str) -> list[str]:
        """All that a daemon says, up to something that has this text."""
        heard, deadline = [self.hear()], time.monotonic() + START_TIMEOUT_SECONDS
        while text not in heard[-1]:
            assert time.monotonic() < deadline, f"no {text!r} among {heard}"
            heard.append(self.hear())
        return heard

    def has_heard(self) -> bool:
        """Whether something was said that was not listened to."""
        self._socket.settimeout(0)
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False

    def output(self) -> str:
        """What the daemons printed."""
        return self._log.read_text()

    def close(self) -> None:
        """End what still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(STOP_TIMEOUT_SECONDS)
        self._socket.close()


@contextmanager
def bound() -> Iterator[socket.socket]:
    """A listening socket as of a socket unit: open before any daemon runs."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener
