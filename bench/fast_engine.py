"""An engine that costs next to nothing, so that what is measured is the way to it.

``python -m bench.fast_engine SOCKET`` answers every request on a UNIX socket at once: with a
chat completion, or, where ``"stream": true`` stands in the body, with ``FRAMES`` SSE frames; with
llama.cpp's counts in each, where it is asked for them as that is.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import httptools
import uvloop

FRAMES = 256
FRAME = (
    b'data: {"id":"chatcmpl-0","object":"chat.completion.chunk","created":1700000000,'
    b'"model":"bench","choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}]}'
    b"\n\n"
)
TIMINGS = (
    b',"timings":{"cache_n":0,"prompt_n":8,"prompt_ms":1.702,"prompt_per_token_ms":0.1418,'
    b'"prompt_per_second":7050.52,"predicted_n":128,"predicted_ms":212.432,'
    b'"predicted_per_token_ms":1.6596,"predicted_per_second":602.54}'
)
LAST = b"data: [DONE]\n\n"
BODY = (
    b'{"id":"chatcmpl-0","object":"chat.completion","created":1700000000,"model":"bench",'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"hello"},'
    b'"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":8,"completion_tokens":1,"total_tokens":9}}'
)
FRAMES_AT_ONCE = 4
"""An engine writes one chunk a token, a few of which meet in one read."""


class FastEngine(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._body = bytearray()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._streams: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are ones by what they do, not by their class.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        for stream in self._streams:
            stream.cancel()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = bytes(self._body), bytearray()
        assert self._transport is not None
        if b'"stream":true' in body.replace(b" ", b""):
            added = TIMINGS if b'"timings_per_token":true' in body else b""
            task = asyncio.create_task(self._stream(self._transport, added))
            self._streams.add(task)
            task.add_done_callback(self._streams.discard)
        else:
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (len(BODY), BODY)
            )

    async def _stream(self, transport: asyncio.Transport, added: bytes) -> None:
        transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        frame = FRAME.replace(b"}\n\n", added + b"}\n\n")
        chunk = b"%x\r\n%s\r\n" % (len(frame), frame)
        for _ in range(0, FRAMES, FRAMES_AT_ONCE):
            await self._may_write.wait()
            transport.write(chunk * FRAMES_AT_ONCE)
            await asyncio.sleep(0)
        transport.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(LAST), LAST))


async def serve(socket_path: str) -> None:
    server = await asyncio.get_running_loop().create_unix_server(FastEngine, socket_path)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
