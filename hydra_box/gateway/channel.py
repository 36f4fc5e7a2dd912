"""The way to one instance: HTTP over its UNIX socket, and its faults as one of ours.

What the relay needs of a way to whoever answers is ``Channel``; ``remote.py`` has the other one.
"""

from __future__ import annotations

import asyncio
import errno
import io
import time
from pathlib import Path
from typing import Protocol

import aiohttp
from yarl import URL

from hydra_box.errors import EngineError

CONNECT_TIMEOUT_SECONDS = 10.0
BACKLOG_PAUSE_SECONDS = 0.01
"""Between two tries to connect to an engine that has more connections waiting than it lets."""

LONGEST_PLAIN_BODY_BYTES = 1024 * 1024
"""aiohttp writes a larger ``bytes`` body in one piece, and warns."""

_HEADERS = {"Content-Type": "application/json", "Accept": "*/*"}
_SKIPPED_HEADERS = ("User-Agent", "Accept-Encoding")


class InstanceLost(EngineError):
    """The instance did not answer, or not to the end: another one may."""


class Answer:
    """An engine's answer whose body is being read; always ``close`` it."""

    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    @property
    def content_type(self) -> str:
        """As the engine gave it."""
        return self.headers.get("content-type", "application/json")

    async def read(self) -> bytes:
        """All that has arrived, at least one byte; empty at the end.

        Raises:
            InstanceLost: the connection broke.

        """
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise InstanceLost(f"the engine's answer broke off: {error}") from error

    async def read_all(self, limit_bytes: int) -> bytes:
        """The whole body.

        Raises:
            InstanceLost: the connection broke.
            EngineError: it is longer than the limit.

        """
        parts: list[bytes] = []
        size = 0
        while part := await self.read():
            parts.append(part)
            size += len(part)
            if size > limit_bytes:
                raise EngineError(
                    f"the engine's answer is over {limit_bytes:,} bytes",
                    hint="ask for less in one request, or for a stream",
                )
        return b"".join(parts)

    def end_work(self) -> None:
        """Tell the engine that nobody waits any more; what it had done until then can be read.

        It is a half-closed connection, which the servers of all engines take for a closed one.
        """
        connection = self._response.connection
        transport = None if connection is None else connection.transport
        if transport is not None and transport.can_write_eof():
            transport.write_eof()

    def close(self) -> None:
        """Close the connection, which makes the engine end its work; safe to repeat."""
        self._response.close()


class Channel(Protocol):
    """Opens requests at one instance or upstream."""

    context_length: int | None
    """Tokens that the model there takes, where it was asked for that and told."""

    async def post(self, path: str, body: bytes) -> Answer:
        """Send a request; returns when the answer's headers are there.

        Raises:
            InstanceLost: there is no connection, or it broke before the headers.

        """
        ...

    async def close(self) -> None:
        """Close what is left open."""
        ...


class EngineChannel:
    """Opens requests on one instance's socket.

    Each request has a connection of its own. Making one on a UNIX socket costs little, a kept one
    holds a thread of llama.cpp's server while idle, and only on a fresh one does a broken
    connection mean that the instance, not the waiting, is at fault.
    """

    def __init__(self, socket_path: Path) -> None:
        self.context_length: int | None = None
        self._urls: dict[str, URL] = {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(socket_path), limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            skip_auto_headers=_SKIPPED_HEADERS,
        )

    async def post(self, path: str, body: bytes) -> Answer:
        """Send a request; returns when the answer's headers are there.

        Raises:
            InstanceLost: there is no connection, or it broke before the headers.

        """
        if (url := self._urls.get(path)) is None:
            url = self._urls[path] = URL(f"http://engine{path}")
        give_up_at = time.monotonic() + CONNECT_TIMEOUT_SECONDS
        while True:
            data = body if len(body) <= LONGEST_PLAIN_BODY_BYTES else io.BytesIO(body)
            try:
                return Answer(await self._session.post(url, data=data, allow_redirects=False))
            except (aiohttp.ClientError, OSError) as error:
                if not _backlog_is_full(error) or time.monotonic() > give_up_at:
                    raise InstanceLost(f"the engine did not answer: {error}") from error
                await asyncio.sleep(BACKLOG_PAUSE_SECONDS)

    async def close(self) -> None:
        """Close what is left open."""
        await self._session.close()


def _backlog_is_full(error: Exception) -> bool:
    """Connecting to a UNIX socket does not wait for the other side, it fails (connect(2))."""
    return isinstance(error, aiohttp.ClientConnectorError) and error.errno == errno.EAGAIN
