"""The end of a daemon: stopped with its engines, or followed by another one that has them."""

from __future__ import annotations

import asyncio
import contextlib

from hydra_box.box import Box
from hydra_box.http_server import HttpServer
from hydra_box.supervisor import Supervisor


async def finish(box: Box, supervisor: Supervisor) -> None:
    """Take no new request, let those under way end, then end the engines."""
    box.relay.stop_accepting()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(box.settings.drain_timeout_seconds):
            await box.pool.wait_all_idle()
    box.events.close()
    await box.downloads.close()
    await supervisor.stop()


async def let_finish(box: Box, public: HttpServer, stop: asyncio.Event) -> None:
    """Take no new connection, and let requests under way and in the queue end.

    New connections wait where the next daemon finds them. ``stop`` ends the waiting.
    """
    public.stop_accepting()
    waits = [asyncio.create_task(one) for one in (box.pool.wait_all_idle(), stop.wait())]
    await asyncio.wait(
        waits,
        timeout=box.settings.drain_timeout_seconds,
        return_when=asyncio.FIRST_COMPLETED,
    )
    for one in waits:
        one.cancel()


async def leave(box: Box, supervisor: Supervisor) -> None:
    """End what this daemon does, and leave the engines as they are."""
    box.events.close()
    await box.downloads.close()
    await supervisor.leave()
