"""What the engines have under way and have counted, asked of all of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

from hydra_box.config import Paths
from hydra_box.engines.base import Engine
from hydra_box.engines.metrics import EngineMetrics
from hydra_box.errors import EngineError
from hydra_box.messages import ServiceView
from hydra_box.types import EngineName, InstanceState

PATIENCE_SECONDS = 3.0
"""For each engine; llama.cpp answers between two batches only. Prometheus waits ten for us."""


async def engine_metrics(
    views: Iterable[ServiceView],
    engines: Mapping[EngineName, Engine],
    paths: Paths,
    patience_seconds: float = PATIENCE_SECONDS,
) -> dict[str, EngineMetrics | None]:
    """What the engine of each ready instance says, by the instance's id; None: nothing in time."""
    ready = [
        (instance.id, engines[view.engine])
        for view in views
        for instance in view.instances
        if instance.state is InstanceState.READY
    ]
    answers = await asyncio.gather(
        *(_ask(engine, paths.instance_socket(id), patience_seconds) for id, engine in ready)
    )
    return {id: answer for (id, _), answer in zip(ready, answers, strict=True)}


async def _ask(engine: Engine, socket_path: Path, patience_seconds: float) -> EngineMetrics | None:
    try:
        async with asyncio.timeout(patience_seconds):
            return await engine.metrics(socket_path)
    except (EngineError, TimeoutError):
        return None  # The page says so: hydra_box_engine_up is 0.
