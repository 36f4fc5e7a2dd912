"""What the box is and has: its status, its hardware, its models."""

from __future__ import annotations

import asyncio

from litestar import get

from api.wiring import BoxParam
from hydra_box.hardware import snapshot
from hydra_box.messages import BoxStatus, ModelView
from hydra_box.status import box_status
from hydra_box.types import Machine


@get("/status")
async def status(box: BoxParam) -> BoxStatus:
    """What this box is doing, and what needs attention."""
    return box_status(box)


@get("/machine")
async def machine(box: BoxParam) -> Machine:
    """What this machine has, and what of it is free now."""
    return await asyncio.to_thread(snapshot, box.paths.home)


@get("/models")
async def models(box: BoxParam) -> list[ModelView]:
    """The catalog, each model with the services that use it."""
    services = box.services.list()
    return [
        ModelView(
            spec=spec,
            services=tuple(one.name for one in services if one.base_model == spec.id),
        )
        for spec in box.catalog.list()
    ]
