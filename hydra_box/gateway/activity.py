"""How much is under way, and the moment when nothing is any more."""

from __future__ import annotations

import asyncio


class Activity:
    """A count of requests that wait or are in flight."""

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    def begin(self) -> None:
        """One more."""
        self._count += 1
        self._none.clear()

    def end(self) -> None:
        """One of them is over."""
        self._count -= 1
        if not self._count:
            self._none.set()

    async def wait_for_none(self) -> None:
        """Until all are over."""
        await self._none.wait()
