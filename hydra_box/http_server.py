"""The HTTP server on a socket, told by the daemon when to end."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import cast

import uvicorn
from litestar.types import ASGIApp

from hydra_box.config import Settings
from hydra_box.http_protocol import GuardedProtocol, room_for
from hydra_box.tls_server import TlsServer

CLOSE_CONNECTIONS_SECONDS = 2


class HttpServer(uvicorn.Server):
    """uvicorn's server, told by the daemon instead of by signals."""

    def __init__(
        self, config: uvicorn.Config, limits: Settings, tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._limits = limits
        self._tls = tls

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the daemon, which decides what they mean."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell."""
        if self._tls is None:
            await super().startup(sockets=sockets)
        else:
            self.servers = [self._serve_tls(one, self._tls) for one in sockets or ()]
            self.started = True
        self.listening.set()

    def stop_accepting(self) -> None:
        """Leave new connections where they wait, and close each old one after its next answer."""
        for one in self.servers:
            one.close()
        close = (b"connection", b"close")
        self.config.encoded_headers.append(close)
        # Of answers that have not begun; uvicorn makes another list of the former every second.
        self.server_state.default_headers.append(close)

    def _serve_tls(self, listener: socket.socket, tls: ssl.SSLContext) -> asyncio.Server:
        config, state = self.config, self.server_state
        protocol = cast("type[GuardedProtocol]", config.http_protocol_class)
        server = TlsServer(
            listener,
            lambda: protocol(config, state, self.lifespan.state),
            tls,
            handshake_seconds=self._limits.head_timeout_seconds,
            room=lambda: room_for(state.connections, self._limits.connection_limit),
        )
        server.start(config.backlog)
        # It is one as far as uvicorn looks: closed, and waited for.
        return cast("asyncio.Server", server)


@asynccontextmanager
async def http_server(
    app: ASGIApp,
    listener: socket.socket,
    limits: Settings | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[HttpServer]:
    """An HTTP server on a socket, for as long as the block runs.

    Args:
        app: what answers.
        listener: a bound socket.
        limits: the settings that say what a connection may take; None: the default ones.
        tls: what https is spoken with; None: http.
    """
    limits = limits or Settings()
    config = uvicorn.Config(
        app,
        loop="none",
        http=GuardedProtocol.within(limits),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # Nobody stands between: what a client says of its address is not to be believed.
        proxy_headers=False,
        backlog=2048,
        timeout_keep_alive=limits.idle_timeout_seconds,
        timeout_graceful_shutdown=CLOSE_CONNECTIONS_SECONDS,
    )
    server = HttpServer(config, limits, tls)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await server.listening.wait()
        yield server
    finally:
        server.should_exit = True
        await task
