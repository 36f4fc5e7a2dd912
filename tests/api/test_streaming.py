from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from api.streaming import Streamed, with_pauses
from hydra_box.events import EventBus

Message = dict[str, Any]


class Wire:
    """Both ends of one ASGI request."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[Message] = asyncio.Queue()
        self.to_receive: asyncio.Queue[Message] = asyncio.Queue()
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, message: Any) -> None:
        await self.open.wait()
        self.sent.put_nowait(message)

    async def receive(self) -> Any:
        return await self.to_receive.get()

    def leave(self) -> None:
        self.to_receive.put_nowait({"type": "http.disconnect"})

    def bodies(self) -> list[tuple[bytes, bool]]:
        return [
            (message["body"], message["more_body"])
            for message in (self.sent.get_nowait() for _ in range(self.sent.qsize()))
            if message["type"] == "http.response.body"
        ]


class Chunks:
    """A source of chunks that notes when it was closed."""

    def __init__(self, *, fail: bool = False) -> None:
        self.closed = False
        self.more: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._fail = fail

    async def stream(self) -> AsyncGenerator[bytes, None]:
        try:
            while (chunk := await self.more.get()) is not None:
                self.more.task_done()
                yield chunk
            if self._fail:
                raise RuntimeError("broken")
        finally:
            self.closed = True


def answer(chunks: Chunks, wire: Wire, bus: EventBus) -> asyncio.Task[None]:
    streamed = Streamed(chunks.stream(), media_type="text/plain", stopped_by=bus)
    scope: Any = {"type": "http"}
    return asyncio.create_task(streamed(scope, wire.receive, wire.send))


async def test_it_ends_with_its_generator() -> None:
    chunks, wire, bus = Chunks(), Wire(), EventBus()
    for chunk in (b"a", b"b", None):
        chunks.more.put_nowait(chunk)
    await answer(chunks, wire, bus)
    assert chunks.closed
    assert wire.bodies() == [(b"a", True), (b"b", True), (b"", False)]


async def test_a_client_that_leaves_closes_a_generator_that_waits() -> None:
    chunks, wire, bus = Chunks(), Wire(), EventBus()
    request = answer(chunks, wire, bus)
    await wire.sent.get()
    wire.leave()
    await request
    assert chunks.closed
    assert wire.bodies() == []


async def test_a_client_that_leaves_closes_a_generator_that_waits_for_the_client() -> None:
    chunks, wire, bus = Chunks(), Wire(), EventBus()
    request = answer(chunks, wire, bus)
    await wire.sent.get()
    wire.open.clear()
    chunks.more.put_nowait(b"never read")
    await chunks.more.join()
    wire.leave()
    await request
    assert chunks.closed


async def test_the_end_of_the_daemon_ends_it_in_good_order() -> None:
    chunks, wire, bus = Chunks(), Wire(), EventBus()
    request = answer(chunks, wire, bus)
    await wire.sent.get()
    bus.close()
    await request
    assert chunks.closed
    assert wire.bodies() == [(b"", False)]


async def test_a_failure_is_not_an_end_in_good_order() -> None:
    chunks, wire, bus = Chunks(fail=True), Wire(), EventBus()
    chunks.more.put_nowait(None)
    with pytest.raises(RuntimeError, match="broken"):
        await answer(chunks, wire, bus)
    assert wire.bodies() == []


async def test_a_cancelled_request_closes_the_generator() -> None:
    chunks, wire, bus = Chunks(), Wire(), EventBus()
    request = answer(chunks, wire, bus)
    await wire.sent.get()
    request.cancel()
    await asyncio.wait((request,))
    assert chunks.closed


async def test_pauses_are_told_and_no_item_is_lost() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def items() -> AsyncIterator[int]:
        while (item := await queue.get()) >= 0:
            yield item

    told = with_pauses(items(), 0.01)
    assert await anext(told) is None
    queue.put_nowait(1)
    queue.put_nowait(2)
    assert [await anext(told), await anext(told), await anext(told)] == [1, 2, None]
    queue.put_nowait(-1)
    assert [item async for item in told] == []
