"""The listening side of https: a connection counts, and has a time, from when it is accepted.

asyncio's own server tells nobody of a connection before the end of its handshake, so that whoever
never ends one could open as many as there are descriptors.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

log = logging.getLogger(__name__)

_ACCEPTED_AT_ONCE = 16
"""Before others have their turn in the loop."""

_PAUSE_SECONDS = 1.0
"""Without a descriptor left, a waiting client would wake the loop all the time."""


class TlsServer:
    """Accepts connections and shakes hands with them; as a server of the HTTP server.

    Args:
        listener: a bound socket.
        protocol: makes what takes over after a handshake.
        tls: what is spoken.
        handshake_seconds: how long a client may take to end its handshake.
        room: how many more connections there may be, without those in a handshake.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext,
        *,
        handshake_seconds: float,
        room: Callable[[], int],
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._tls = tls
        self._handshake_seconds = handshake_seconds
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None

    def start(self, backlog: int) -> None:
        """Begin to accept."""
        self._listener.setblocking(False)
        self._listener.listen(backlog)
        self._watch()

    def close(self) -> None:
        """Leave new connections where they wait; safe to repeat."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)

    async def wait_closed(self) -> None:
        """End the handshakes that are left."""
        for one in self._handshakes:
            one.cancel()
        await asyncio.gather(*self._handshakes, return_exceptions=True)

    def _watch(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, _address = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("no connection can be accepted: %s", error.strerror)
                self._loop.remove_reader(self._listener)
                self._pause = self._loop.call_later(_PAUSE_SECONDS, self._watch)
                return
            if len(self._handshakes) >= self._room():
                # There is no telling why before a handshake, for which there is no room.
                accepted.close()
                continue
            accepted.setblocking(False)
            handshake = self._loop.create_task(self._shake_hands(accepted))
            self._handshakes.add(handshake)
            handshake.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._protocol,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=self._handshake_seconds,
            )
        except OSError as error:
            log.debug("a TLS handshake failed: %s", error)
