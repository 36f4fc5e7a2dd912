"""HTTP byte by byte, for what no proper client sends."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from typing import NamedTuple

SECONDS = 120.0


class Reply(NamedTuple):
    """What came back on a connection that was then closed, or had its answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        """The fact of an error answer, after a check that there is a hint."""
        answer = json.loads(self.body)
        assert answer["hint"]
        return str(answer["error"]["message"])


def connect(address: tuple[str, int]) -> socket.socket:
    """A connection whose reads do not wait without end."""
    return socket.create_connection(address, timeout=SECONDS)


def send_raw(address: tuple[str, int], data: bytes) -> Reply:
    """Send bytes, and read one answer."""
    with closing(connect(address)) as connection:
        connection.sendall(data)
        return read_reply(connection)


def read_reply(connection: socket.socket) -> Reply:
    """One answer with a Content-Length, or all until the end."""
    received = bytearray()
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            raise EOFError(f"closed after {bytes(received)!r}")
        received += piece
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    length = int(headers.get("content-length", "0"))
    while len(body) < length:
        body += connection.recv(65536)
    return Reply(int(first.split()[1]), headers, body)


def closed(connection: socket.socket) -> bool:
    """Whether the other side has ended the connection; waits until it does."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def request(path: str = "/healthz", *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    """A request as it should be, with further headers."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if body and not any(one.lower().startswith(("content-length", "transfer")) for one in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def address_of(url: str) -> tuple[str, int]:
    """Host and port of a box's URL."""
    host, _, port = url.rpartition("://")[2].rpartition(":")
    return host, int(port)
