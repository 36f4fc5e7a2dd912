"""What the box is and has: its status, its hardware, now and from now on."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from litestar import get, post

from api.events import SSE
from api.streaming import Streamed
from api.wiring import BoxParam
from hydra_box import __version__
from hydra_box.messages import BoxStatus, RestartView
from hydra_box.sampler import Sampler
from hydra_box.status import box_status
from hydra_box.types import Machine


@get("/status")
async def status(box: BoxParam) -> BoxStatus:
    """What this box is doing, and what needs attention."""
    return box_status(box)


@post("/restart", status_code=202)
async def restart(box: BoxParam) -> RestartView:
    """Have the daemon hand over to another one in its place, of the program that is on the disk.

    The engines go on, requests under way finish, and new connections wait until it answers. When
    that program does not start, this one goes on.
    """
    await box.handover.ask()
    return RestartView(version=__version__, pid=os.getpid(), started_at=box.started_at)


@get("/machine")
async def machine(box: BoxParam) -> Machine:
    """What this machine has, and what of it is free now."""
    return await box.sampler.fresh()


@get("/machine/live", media_type=SSE)
async def machine_live(box: BoxParam) -> Streamed:
    """The machine about once a second: each time ``data``, the machine as JSON.

    A reader that is slow misses some.
    """
    return Streamed(_samples(box.sampler), media_type=SSE, stopped_by=box.events)


async def _samples(sampler: Sampler) -> AsyncGenerator[bytes, None]:
    async with aclosing(sampler.subscribe()) as live:
        async for sample in live:
            yield b"data: %s\n\n" % msgspec.json.encode(sample)
