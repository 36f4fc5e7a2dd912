"""The doors of a daemon: the lock on its state directory, its TCP port, its UNIX socket."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import socket
import stat
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from hydra_box.config import Paths
from hydra_box.errors import ConfigError, Conflict, StateError

log = logging.getLogger(__name__)

STALLED_CLIENT_SECONDS = 120
"""A client that takes nothing of its answer for so long, or has vanished, is gone."""

FIRST_INHERITED = 3
"""The descriptors after stdin, stdout and stderr (``SD_LISTEN_FDS_START``)."""


@contextmanager
def lock(paths: Paths, handed_over: int | None = None) -> Iterator[int]:
    """Hold the state directory; one daemon at a time.

    Args:
        paths: whose.
        handed_over: the descriptor by which the program before this one holds it.

    Yields:
        The descriptor that holds it.

    Raises:
        Conflict: another daemon has it.
    """
    with paths.lock.open("a+") if handed_over is None else os.fdopen(handed_over, "a+") as file:
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
        yield file.fileno()


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
        _drop_stalled_clients(listener)
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Conflict(
                    f"port {port} on {host} is taken{_taken_by(port)}",
                    hint="choose another with --port; HYDRA_BOX_PORT sets it for good",
                ) from error
            raise ConfigError(
                f"cannot listen on {host}:{port}: {error.strerror}",
                hint="host is an address of this machine: 127.0.0.1 for itself, 0.0.0.0 for all",
            ) from error
        yield listener


def _drop_stalled_clients(listener: socket.socket) -> None:
    # What is accepted has it, too (tcp(7)).
    milliseconds = STALLED_CLIENT_SECONDS * 1000
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def _taken_by(port: int) -> str:
    """Who holds a port, where this user may know."""
    with contextlib.suppress(psutil.Error):
        for one in psutil.net_connections("tcp"):
            listens = one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port
            if listens and one.pid:
                return f" by {psutil.Process(one.pid).name()} (pid {one.pid})"
    return ""


@contextmanager
def listen_privately(
    paths: Paths, handed_over: Sequence[socket.socket] = ()
) -> Iterator[socket.socket]:
    """The UNIX socket of the management API, for this user only; maybe one that was handed over.

    Raises:
        StateError: something else is in its place that cannot be removed.
    """
    given = [one for one in handed_over if one.family == socket.AF_UNIX]
    with given[0] if given else _bind_privately(paths) as listener:
        try:
            yield listener
        finally:
            _remove(paths.management_socket)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        # The next daemon replaces it; this one has other things to bring to an end.
        log.warning("%s stays: %s", path, error.strerror)


def _bind_privately(paths: Paths) -> socket.socket:
    try:
        paths.management_socket.unlink(missing_ok=True)
    except OSError as error:
        raise StateError(
            f"{paths.management_socket} cannot be replaced: {error.strerror}",
            hint="remove what is there: the daemon makes its socket itself",
        ) from error
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The umask of the daemon makes it 0600.
    listener.bind(str(paths.management_socket))
    return listener


def inherited(environ: MutableMapping[str, str]) -> tuple[socket.socket, ...]:
    """The listening sockets that systemd, or the daemon before this one, hands over.

    As sd_listen_fds(3) has it. The variables are removed: they are not for processes that this
    one starts, and neither are the sockets. What they are for is told by their family: TCP is
    the endpoint, UNIX the management API.

    Raises:
        ConfigError: the variables make no sense, or a descriptor is no listening socket.
    """
    pid = environ.pop("LISTEN_PID", None)
    count = environ.pop("LISTEN_FDS", None)
    for name in ("LISTEN_FDNAMES", "LISTEN_PIDFDID"):
        environ.pop(name, None)
    if pid is None or count is None:
        return ()
    if not (pid.isdecimal() and count.isdecimal()):
        raise ConfigError(f"LISTEN_PID={pid} LISTEN_FDS={count} are not numbers")
    if int(pid) != os.getpid():
        return ()
    return tuple(_adopt(FIRST_INHERITED + number) for number in range(int(count)))


@contextmanager
def endpoint(handed_over: Sequence[socket.socket], host: str, port: int) -> Iterator[socket.socket]:
    """The endpoint's socket: the one that was handed over, else one of our own at this address.

    Raises:
        Conflict: the port is taken.
        ConfigError: the address is not one of this machine's, or more than one was handed over.
    """
    given = [one for one in handed_over if one.family != socket.AF_UNIX]
    if len(given) > 1:
        raise ConfigError(
            f"{len(given)} TCP sockets were handed over, and there is one endpoint",
            hint="leave one ListenStream= in hydra-box.socket and its drop-ins; an empty one "
            "before it takes back the others",
        )
    with given[0] if given else listen(host, port) as listener:
        yield listener


def _adopt(descriptor: int) -> socket.socket:
    """A socket that somebody else opened, if it is one to listen on."""
    refusal = ConfigError(
        f"descriptor {descriptor}, which LISTEN_FDS hands over, is no listening socket",
        hint="a socket unit for Hydra Box has ListenStream= and Accept=no",
    )
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise refusal
    except OSError as error:
        raise refusal from error
    os.set_inheritable(descriptor, False)
    listener = socket.socket(fileno=descriptor)
    is_stream = listener.type == socket.SOCK_STREAM
    if not is_stream or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        listener.close()
        raise refusal
    if listener.family != socket.AF_UNIX:
        _drop_stalled_clients(listener)
    return listener
