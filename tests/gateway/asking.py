"""What the tests of limits and of books have in common: keys, answers, and what was noted."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from hydra_box.messages import CreateKeyRequest
from hydra_box.types import RequestRecord
from tests.gateway.harness import DONE, USAGE, USAGE_FRAME, Gateway, begin_stream, frame, until


async def answer(request: web.Request) -> web.Response:
    """A whole answer of ten tokens."""
    return web.json_response({"usage": USAGE})


async def stream(request: web.Request) -> web.StreamResponse:
    """A stream of ten tokens."""
    response = await begin_stream(request)
    await response.write(frame("a") + USAGE_FRAME + DONE)
    return response


async def a_key(gateway: Gateway, name: str = "limited", **more: Any) -> str:
    """A new key's secret."""
    return (await gateway.keys.create(CreateKeyRequest(name=name, **more), gateway.user)).key


async def noted(gateway: Gateway, number: int) -> RequestRecord:
    """The last of so many requests that are over."""
    await until(lambda: len(gateway.books) >= number, f"{number} requests are over")
    assert len(gateway.books) == number
    return gateway.books[-1]
