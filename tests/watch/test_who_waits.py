"""A client that reads slowly keeps its engine's answer waiting: that is no sign of a hang."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from hydra_box.config import Settings
from tests.gateway.harness import begin_stream, frame, run_gateway, until

FRAME_CHARACTERS = 100_000


async def flood(request: web.Request) -> web.StreamResponse:
    """A stream without an end."""
    response = await begin_stream(request)
    while True:
        await response.write(frame("x" * FRAME_CHARACTERS))


async def silence(request: web.Request) -> web.StreamResponse:
    """A stream that does not begin."""
    await asyncio.Event().wait()
    return await begin_stream(request)


async def test_who_waits_for_a_client_and_who_for_its_engine(tmp_path: Path) -> None:
    async with run_gateway(tmp_path, Settings()) as gateway:
        service = gateway.service()
        await gateway.engine(service, flood, name="flood")
        address = urlsplit(gateway.url)
        body = json.dumps({"model": service.access_name, "messages": [], "stream": True})
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Authorization: Bearer {gateway.key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        await reader.readuntil(b"data: ")

        def waits_for_its_client() -> bool:
            found = gateway.pool.heard_and_asked("flood")
            return found is not None and found[0] > 0 and found[1] == 0

        await until(waits_for_its_client, "nothing is asked of the engine")
        assert gateway.pool.in_flight("flood") == 1
        writer.transport.abort()
        await until(lambda: gateway.pool.in_flight("flood") == 0, "its slot is free")

        mute = gateway.service("mute")
        await gateway.engine(mute, silence, name="mute")
        asking = asyncio.create_task(gateway.ask(mute, stream=True))
        await until(lambda: gateway.pool.heard_and_asked("mute") == (0, 1), "it is asked")
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert gateway.pool.heard_and_asked("nobody") is None
