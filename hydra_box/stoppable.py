"""Long work in threads that ends soon after nobody waits for it any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Stopped(Exception):
    """The work was told to stop."""


async def stoppable(work: Coroutine[Any, Any, T], stop: threading.Event) -> T:
    """What ``work`` gives; when its caller is cancelled, ``stop`` is set and the work still ends.

    A thread cannot be cancelled: left alone it would go on for minutes, and hold up the daemon's
    own end.
    """
    running = asyncio.create_task(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({running})
        if not running.cancelled():
            # Nobody is left who could be told.
            running.exception()
        raise


def go_on(stop: threading.Event) -> None:
    """Return, unless the work was told to stop.

    Raises:
        Stopped: it was.

    """
    if stop.is_set():
        raise Stopped
