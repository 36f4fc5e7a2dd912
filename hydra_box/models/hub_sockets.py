"""The sockets of an HTTP client, so that threads that wait on them can be woken."""

from __future__ import annotations

import socket
import weakref
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock
from typing import Protocol


class _Stream(Protocol):
    def get_extra_info(self, info: str) -> object: ...


class Sockets:
    """Is told of every connection that a client of httpx makes."""

    def __init__(self) -> None:
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock = Lock()
        self._is_shut = False

    def trace(self, event: str, info: Mapping[str, object]) -> None:
        """Take note of what happened; the ``trace`` extension of a request calls it."""
        if not event.endswith(("connect_tcp.complete", "start_tls.complete")):
            return
        stream: _Stream = info["return_value"]  # type: ignore[assignment]
        made = stream.get_extra_info("socket")
        if not isinstance(made, socket.socket):
            return
        with self._lock:
            self._sockets.add(made)
            if self._is_shut:
                _shut_down(made)

    def shut_down(self) -> None:
        """End every connection, and each that is made from now on."""
        with self._lock:
            self._is_shut = True
            for one in self._sockets:
                _shut_down(one)


def _shut_down(made: socket.socket) -> None:
    # TLS has a method of its own, which would take its state from under the thread that reads.
    with suppress(OSError):
        socket.socket.shutdown(made, socket.SHUT_RDWR)
