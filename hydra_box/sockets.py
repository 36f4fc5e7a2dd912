"""The doors of a daemon: the lock on its state directory, its TCP port, its UNIX socket."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from hydra_box.config import Paths
from hydra_box.errors import ConfigError, Conflict

STALLED_CLIENT_SECONDS = 120
"""A client that takes nothing of its answer for so long, or has vanished, is gone."""


@contextmanager
def lock(paths: Paths) -> Iterator[None]:
    """Hold the state directory; one daemon at a time."""
    with paths.lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            raise Conflict(
                f"a daemon (pid {pid}) already uses {paths.home}",
                hint="hydra-box status asks it; another HYDRA_BOX_HOME makes another box",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """A listening TCP socket, whose connections notice a client that does not read any more.

    Without that, streams that nobody reads would hold their slots for as long as they like.

    Raises:
        Conflict: the port is taken.
        ConfigError: the address is not one of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # What is accepted has it, too (tcp(7)).
        milliseconds = STALLED_CLIENT_SECONDS * 1000
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Conflict(
                    f"port {port} on {host} is taken{_taken_by(port)}",
                    hint="choose another with --port; HYDRA_BOX_PORT sets it for good",
                ) from error
            raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        yield listener


def _taken_by(port: int) -> str:
    """Who holds a port, where this user may know."""
    with contextlib.suppress(psutil.Error):
        for one in psutil.net_connections("tcp"):
            listens = one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port
            if listens and one.pid:
                return f" by {psutil.Process(one.pid).name()} (pid {one.pid})"
    return ""


@contextmanager
def listen_privately(paths: Paths) -> Iterator[socket.socket]:
    """The UNIX socket of the management API, for this user only."""
    paths.management_socket.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        # The umask of the daemon makes it 0600.
        listener.bind(str(paths.management_socket))
        try:
            yield listener
        finally:
            paths.management_socket.unlink(missing_ok=True)
