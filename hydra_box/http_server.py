"""The HTTP server on a socket, told by the daemon when to end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from litestar.types import ASGIApp

CLOSE_CONNECTIONS_SECONDS = 2


class _HttpServer(uvicorn.Server):
    """uvicorn's server, told by the daemon instead of by signals."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the daemon, which decides what they mean."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell."""
        await super().startup(sockets=sockets)
        self.listening.set()


@asynccontextmanager
async def http_server(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """An HTTP server on a socket, for as long as the block runs."""
    config = uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # Nobody stands between: what a client says of its address is not to be believed.
        proxy_headers=False,
        backlog=2048,
        timeout_graceful_shutdown=CLOSE_CONNECTIONS_SECONDS,
    )
    server = _HttpServer(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await server.listening.wait()
        yield
    finally:
        server.should_exit = True
        await task
