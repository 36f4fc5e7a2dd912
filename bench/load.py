"""A load generator that costs little beside what it measures: raw HTTP over kept connections."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import httptools


@dataclass(frozen=True)
class Target:
    """Where to send requests: a UNIX socket or an address, and the key for it."""

    address: Path | str
    key: str = "none"

    def request(self, body: bytes) -> bytes:
        """One chat completion, as bytes on the wire."""
        return (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/json\r\nAuthorization: Bearer %s\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (self.key.encode(), len(body), body)
        )

    async def connect(self) -> Connection:
        """A connection to it."""
        loop = asyncio.get_running_loop()
        if isinstance(self.address, Path):
            _, made = await loop.create_unix_connection(Connection, str(self.address))
            return made
        parts = urlsplit(self.address)
        _, made = await loop.create_connection(Connection, parts.hostname or "", parts.port or 80)
        return made


@dataclass(frozen=True)
class Reply:
    """One answer, measured."""

    first_byte_seconds: float
    """From the request to the first byte of the body."""
    seconds: float
    """From the request to the end."""
    frames: int
    """SSE frames in it."""
    body: bytes


class Connection(asyncio.Protocol):
    """One kept connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._done: asyncio.Future[Reply] | None = None
        self._body: list[bytes] = []
        self._began = self._first = 0.0
        self.answered = 0
        """Whole answers that came over it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are ones by what they do, not by their class.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done and not self._done.done():
            self._done.set_exception(exc or ConnectionError("closed before the end"))

    def data_received(self, data: bytes) -> None:
        if self._parser:
            self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        if not self._body:
            self._first = time.perf_counter()
        self._body.append(body)

    def on_message_complete(self) -> None:
        assert self._parser
        assert self._done
        body = b"".join(self._body)
        if self._parser.get_status_code() != 200:
            self._done.set_exception(RuntimeError(body.decode()))
            return
        self.answered += 1
        now = time.perf_counter()
        frames = body.count(b"\n\n")
        self._done.set_result(Reply(self._first - self._began, now - self._began, frames, body))

    async def send(self, request: bytes) -> Reply:
        """Send it and wait for the whole answer."""
        assert self._transport
        if self._transport.is_closing():
            raise ConnectionError("closed")
        self._parser = httptools.HttpResponseParser(self)
        self._body = []
        self._done = asyncio.get_running_loop().create_future()
        self._began = time.perf_counter()
        self._transport.write(request)
        return await self._done

    def close(self) -> None:
        if self._transport:
            self._transport.close()


@dataclass(frozen=True)
class Load:
    """Many answers, and how long all of them took."""

    replies: list[Reply]
    seconds: float

    @property
    def requests_per_second(self) -> float:
        return len(self.replies) / self.seconds

    @property
    def frames_per_second(self) -> float:
        return sum(reply.frames for reply in self.replies) / self.seconds


async def run(target: Target, body: bytes, *, connections: int, seconds: float) -> Load:
    """Ask again and again on that many connections; no request starts after that many seconds."""
    request = target.request(body)
    replies: list[Reply] = []
    began = time.perf_counter()

    async def ask() -> None:
        connection = await target.connect()
        while time.perf_counter() - began < seconds:
            try:
                replies.append(await connection.send(request))
            except ConnectionError:
                # llama.cpp ends a kept connection after a stream, without a word before.
                if not connection.answered:
                    raise
                connection = await target.connect()
        connection.close()

    await asyncio.gather(*(ask() for _ in range(connections)))
    return Load(replies, time.perf_counter() - began)
