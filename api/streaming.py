"""Answers that go on: they end when the work ends, the client leaves or the daemon stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, TypeVar

from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

from hydra_box.events import EventBus

T = TypeVar("T")


class Streamed:
    """An answer whose body a generator makes; the generator is closed before the request is over.

    Litestar's ``Stream`` leaves a generator that waits at a ``yield`` to the garbage collector,
    and with it what it holds: a subscription, an open file, a build.
    """

    def __init__(
        self, chunks: AsyncGenerator[bytes, None], *, media_type: str, stopped_by: EventBus
    ) -> None:
        self._chunks = chunks
        self._media_type = media_type
        self._stopped_by = stopped_by

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, as an ASGI application."""
        async with aclosing(self._chunks) as chunks:
            await send(_head(self._media_type))
            work = asyncio.create_task(_pump(chunks, send))
            gone = asyncio.create_task(_disconnected(receive))
            stopped = asyncio.create_task(_closed(self._stopped_by))
            tasks: tuple[asyncio.Task[Any], ...] = (work, gone, stopped)
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                client_left = gone.done()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        if not work.cancelled():
            work.result()
        if not client_left:
            await send(_body(b"", more=False))


async def with_pauses(items: AsyncIterator[T], seconds: float) -> AsyncGenerator[T | None, None]:
    """The items, and None whenever none has come for so long."""
    pending: asyncio.Task[T] | None = None
    try:
        while True:
            if pending is None:
                pending = asyncio.ensure_future(_next(items))
            done, _ = await asyncio.wait((pending,), timeout=seconds)
            if not done:
                yield None
                continue
            task, pending = pending, None
            try:
                yield task.result()
            except StopAsyncIteration:
                return
    finally:
        if pending is not None:
            pending.cancel()


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)


async def _pump(chunks: AsyncIterator[bytes], send: Send) -> None:
    async for chunk in chunks:
        if chunk:
            await send(_body(chunk, more=True))


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _closed(events: EventBus) -> None:
    with events.subscribe() as published:
        async for _ in published:
            pass


def _head(media_type: str) -> HTTPResponseStartEvent:
    return {
        "type": "http.response.start",
        "status": 200,
        "headers": [
            (b"content-type", media_type.encode()),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ],
    }


def _body(chunk: bytes, *, more: bool) -> HTTPResponseBodyEvent:
    return {"type": "http.response.body", "body": chunk, "more_body": more}
