"""A backup of the whole box in one file."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator

from litestar import get

from api.streaming import Streamed
from api.wiring import BoxParam
from hydra_box.backups import archive
from hydra_box.errors import HydraError
from hydra_box.events import EventBus

TAR = "application/x-tar"


@get("/backup", media_type=TAR)
async def backup(box: BoxParam) -> Streamed:
    """A backup of this box, as a tar, for ``hydra-box restore``.

    It has the database, the keys of upstreams, the settings and the owner's catalog: whoever has
    it can call those upstreams. Models and engines are not in it. An answer that is cut off is no
    complete answer of HTTP.
    """
    # What the store cannot take is in the journal, which is part of a backup.
    with contextlib.suppress(HydraError):
        await box.usage.flush()
    packed = await asyncio.to_thread(archive.pack, box.paths, time.time())
    # Not stopped with the box's streams, which end well: what is cut off must not look whole.
    return Streamed(_chunks(packed), media_type=TAR, stopped_by=EventBus())


async def _chunks(packed: archive.Archive) -> AsyncGenerator[bytes, None]:
    parts = packed.chunks()
    try:
        while (chunk := await asyncio.to_thread(next, parts, None)) is not None:
            yield chunk
    finally:
        packed.close()
