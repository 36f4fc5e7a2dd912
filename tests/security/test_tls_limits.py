"""Connections that never end their TLS handshake: they count, and have a time."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from hydra_box.config import Settings
from hydra_box.http_protocol import TOLD_AT_ONCE
from hydra_box.tls import TlsFiles, load_tls
from hydra_box.tls_server import TlsServer
from tests.security.certificates import NEEDS_OPENSSL, make_certificate
from tests.security.raw import closed, connect, read_reply, request
from tests.security.test_http_limits import Echo, running
from tests.waiting import eventually

pytestmark = NEEDS_OPENSSL

Address = tuple[str, int]


class Served:
    """Starts servers that speak https, and connects to them."""

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        certificate, key = make_certificate(directory)
        self._stack = stack
        self._tls, _ = load_tls(TlsFiles(certificate=certificate, key=key))
        self._trusting = ssl.create_default_context(cafile=str(certificate))

    def start(self, **limits: Any) -> Address:
        """Where a server with these limits answers."""
        listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._stack.enter_context(running(Echo(), listener, Settings(**limits), self._tls))
        host, port = listener.getsockname()[:2]
        return str(host), int(port)

    def connect(self, address: Address) -> socket.socket:
        """A connection whose handshake is over."""
        plain = self._stack.enter_context(closing(connect(address)))
        return self._stack.enter_context(
            closing(self._trusting.wrap_socket(plain, server_hostname=address[0]))
        )

    def linger(self, address: Address) -> socket.socket:
        """A connection whose handshake does not begin."""
        return self._stack.enter_context(closing(connect(address)))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with ExitStack() as stack:
        yield Served(stack, tmp_path)


def status_of(connection: socket.socket) -> int:
    connection.sendall(request("/"))
    return read_reply(connection).status


def test_a_handshake_that_does_not_end_ends_its_connection(served: Served) -> None:
    address = served.start(head_timeout_seconds=0.3)
    silent, slow = served.linger(address), served.linger(address)
    slow.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert closed(silent)
    assert closed(slow)


def test_what_is_no_handshake_ends_its_connection_and_no_other(served: Served) -> None:
    address = served.start()
    plain = served.linger(address)
    plain.sendall(request("/"))
    eventually(lambda: closed(plain), what="http is not answered")
    assert status_of(served.connect(address)) == 200


def test_connections_count_before_the_end_of_their_handshake(served: Served) -> None:
    address = served.start(connection_limit=2)
    first = served.connect(address)
    assert status_of(first) == 200
    waiting = [served.linger(address) for _ in range(1 + TOLD_AT_ONCE)]
    assert closed(served.linger(address))
    assert status_of(first) == 200
    waiting.pop().close()

    def is_answered() -> bool:
        try:
            return status_of(served.connect(address)) == 200
        except OSError:
            return False

    eventually(is_answered, what="there is room again")


def test_connections_over_the_limit_are_told_so_over_https(served: Served) -> None:
    address = served.start(connection_limit=1)
    first, second = served.connect(address), served.connect(address)
    assert status_of(first) == 200
    assert status_of(second) == 503


def test_a_server_that_ends_leaves_no_handshake(served: Served, tmp_path: Path) -> None:
    with ExitStack() as stack:
        inner = Served(stack, tmp_path)
        waiting = served.linger(inner.start())
    assert closed(waiting)


class Listener:
    """A listening socket that has no descriptor left for the first who comes."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    def accept(self) -> Any:
        if not self.refused:
            self.refused += 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listener.accept()


async def test_without_a_descriptor_clients_wait(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("hydra_box.tls_server._PAUSE_SECONDS", 0.1)
    made: list[Listener] = []
    start: Callable[..., None] = TlsServer.start

    def with_few(server: Any, backlog: int) -> None:
        server._listener = Listener(server._listener)
        made.append(server._listener)
        start(server, backlog)

    monkeypatch.setattr(TlsServer, "start", with_few)
    assert status_of(served.connect(served.start())) == 200
    assert made[0].refused == 1
    assert "no connection can be accepted: Too many open files" in caplog.text
