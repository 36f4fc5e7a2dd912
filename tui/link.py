"""The way to the box: its calls and streams, in threads, with their results on the event loop.

A call that waits for the box must stop neither a key press nor the end of the program, so the
threads are daemons: nobody waits for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from hydra_box.client import Client

T = TypeVar("T")

LAST_WORDS_SECONDS = 1.0
"""How long the end of a stream waits for its thread; it needs a moment, unless it is connecting."""

Connect = Callable[[], Client]


class Link:
    """One box. ``connect`` makes a client of it, without asking it anything."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._client = connect()

    async def call(self, ask: Callable[[Client], T]) -> T:
        """What ``ask`` returns or raises; cancelling gives up the wait, not the call."""
        return await self.run(lambda: ask(self._client))

    async def run(self, work: Callable[[], T]) -> T:
        """What a function that may take long returns or raises."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def settle() -> None:
            try:
                value = work()
            except Exception as error:  # noqa: BLE001 - whoever awaits gets it
                failure = error
                _on_loop(future, lambda: future.set_exception(failure))
            else:
                _on_loop(future, lambda: future.set_result(value))

        threading.Thread(target=settle, daemon=True, name="call").start()
        return await future

    @asynccontextmanager
    async def stream(self, ask: Callable[[Client], Iterator[T]]) -> AsyncIterator[AsyncIterator[T]]:
        """The items of a stream as they come; leaving the block ends it at once.

        Each stream has a connection of its own, so that ending one ends no other.
        """
        client = self._connect()
        stream = _Stream[T](asyncio.get_running_loop())
        threading.Thread(target=stream.read, args=(ask, client), daemon=True, name="stream").start()
        try:
            yield stream.items()
        finally:
            client.abort()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_SECONDS):
                    await stream.ended.wait()

    def close(self) -> None:
        """Let the connections go, also those that somebody waits on."""
        self._client.abort()
        self._client.close()


@dataclass(frozen=True)
class _End:
    """The last thing in a queue."""

    error: Exception | None = None


class _Stream(Generic[T]):
    """What one thread reads, for one reader on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[T | _End] = asyncio.Queue()
        self.ended = asyncio.Event()
        """The thread has closed its connection."""

    def read(self, ask: Callable[[Client], Iterator[T]], client: Client) -> None:
        """In the thread: everything that comes, then the end."""
        end = _End()
        try:
            with client:
                for item in ask(client):
                    self._put(item)
        except Exception as error:  # noqa: BLE001 - whoever reads gets it
            end = _End(error)
        self._put(end)
        self._on_loop(self.ended.set)

    async def items(self) -> AsyncIterator[T]:
        """On the loop: what was read.

        Raises:
            HydraError: as the client has it.

        """
        while not isinstance(item := await self._queue.get(), _End):
            yield item
        if item.error is not None:
            raise item.error

    def _put(self, item: T | _End) -> None:
        self._on_loop(lambda: self._queue.put_nowait(item))

    def _on_loop(self, act: Callable[[], None]) -> None:
        # The loop is closed once the program has ended, and then nobody reads.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(act)


def _on_loop(future: asyncio.Future[T], settle: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):
        future.get_loop().call_soon_threadsafe(lambda: None if future.done() else settle())
