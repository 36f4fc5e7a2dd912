"""Planning: what would run where, and why, without changing anything."""

from __future__ import annotations

from litestar import post
from litestar.params import JSONBody

from api.wiring import BoxParam
from hydra_box.messages import PlanRequest, PlanView


@post("/plan", status_code=200)
async def plan(box: BoxParam, data: JSONBody[PlanRequest]) -> PlanView:
    """Plan a model: engine, devices, memory, context and slots, each with its reason.

    A model that does not fit is an answer too: ``fits`` is false, ``missing`` says what is missing
    on each device, and ``alternatives`` what would fit.
    """
    return await box.planner.plan(data)
