"""What the engines have under way, by their own counters."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from hydra_box.config import Paths
from hydra_box.engines.base import Engine, EngineLoad
from hydra_box.errors import EngineError
from hydra_box.messages import ServiceView
from hydra_box.types import EngineName, InstanceState


async def engine_loads(
    views: Iterable[ServiceView], engines: Mapping[EngineName, Engine], paths: Paths
) -> dict[str, EngineLoad]:
    """The load of each ready instance, by its id; one that does not answer now is left out."""
    ready = [
        (instance.id, engines[view.engine])
        for view in views
        for instance in view.instances
        if instance.state is InstanceState.READY
    ]
    answers = await asyncio.gather(
        *(engine.load(paths.instance_socket(id)) for id, engine in ready), return_exceptions=True
    )
    found: dict[str, EngineLoad] = {}
    for (id, _), answer in zip(ready, answers, strict=True):
        if isinstance(answer, EngineLoad):
            found[id] = answer
        elif not isinstance(answer, EngineError):
            raise answer
    return found
