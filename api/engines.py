"""Engines: the runtimes there are, installing, verifying, pinning and removing one."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from litestar import delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.streaming import Streamed
from api.wiring import BoxParam
from hydra_box.box import Box
from hydra_box.errors import HydraError
from hydra_box.messages import InstallEngineRequest, InstallProgress
from hydra_box.plan.names import engine_named
from hydra_box.types import EngineName, Runtime

log = logging.getLogger(__name__)

NDJSON = "application/x-ndjson"


@get("/engines")
async def list_engines(box: BoxParam) -> list[Runtime]:
    """Every runtime that was found or installed, and whether it has answered."""
    return list(box.runtimes.list())


@post("/engines/install", status_code=200, media_type=NDJSON)
async def install(box: BoxParam, data: JSONBody[InstallEngineRequest]) -> Streamed:
    """Install an engine for this machine and verify it.

    The answer is one JSON object a line while it goes on; the last has ``runtime`` or ``error``.
    A client that leaves ends the installation.
    """
    chunks = _install(box, engine_named(data.engine))
    return Streamed(chunks, media_type=NDJSON, stopped_by=box.events)


@post("/engines/verify", status_code=200)
async def verify(box: BoxParam, runtime: FromQuery[str]) -> Runtime:
    """Start a runtime on the demo model and have it answer; ``problem`` says why it could not."""
    return await box.runtimes.verify(runtime)


@post("/engines/pin", status_code=200)
async def pin(
    box: BoxParam, runtime: FromQuery[str], allow_downtime: FromQuery[bool] = False
) -> Runtime:
    """Use this runtime of its engine and no other.

    Instances that run on another one of the same kind are replaced as after an edit; if the new
    ones never get ready, what they ran on before is pinned instead.
    """
    return await box.pinning.pin(runtime, allow_downtime=allow_downtime)


@post("/engines/unpin", status_code=200)
async def unpin(box: BoxParam, runtime: FromQuery[str]) -> Runtime:
    """Let the box choose among the engine's runtimes again; what runs stays as it is."""
    return await box.pinning.unpin(runtime)


@delete("/engines/{engine:str}/{runtime:str}", status_code=204)
async def remove(box: BoxParam, engine: FromPath[str], runtime: FromPath[str]) -> None:
    """Remove an installed runtime; its id is ``<engine>/<runtime>``."""
    await box.runtimes.remove(f"{engine}/{runtime}")


async def _install(box: Box, engine: EngineName) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(box.runtimes.install(engine)) as steps:
            async for progress in steps:
                yield msgspec.json.encode(progress) + b"\n"
    except HydraError as error:
        log.warning("installing %s: %s", engine, error)
        yield msgspec.json.encode(InstallProgress(error=error.body())) + b"\n"
