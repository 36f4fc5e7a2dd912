"""Services: deploy, look, scale, edit, start, stop, delete, and read their logs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import msgspec
from litestar import Response, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from api.events import SSE
from api.streaming import Streamed
from api.wiring import BoxParam
from hydra_box.live import LiveServices
from hydra_box.logs import LONGEST_TAIL, read_logs
from hydra_box.messages import (
    DeployRequest,
    EditRequest,
    PlanView,
    ScaleRequest,
    ServiceHistory,
    ServiceView,
)

TEXT = "text/plain; charset=utf-8"


@get("/services")
async def list_services(box: BoxParam) -> list[ServiceView]:
    """Every service with its instances, by name."""
    return list(box.services.list())


@post(
    "/services",
    status_code=201,
    responses={200: ResponseSpec(PlanView, generate_examples=False)},
)
async def deploy(
    box: BoxParam, data: JSONBody[DeployRequest], dry_run: FromQuery[bool] = False
) -> ServiceView | Response[PlanView]:
    """Deploy a model: make a service, and have its instances started.

    The answer comes before the instances are ready; ``status`` tells when they are. With
    ``dry_run`` nothing is made: the answer is the plan, with status 200, whether it fits or not.
    """
    if dry_run:
        view = await box.services.plan_deploy(data)
        return Response(view, status_code=200)
    return await box.services.deploy(data, box.local_user)


@get("/services/live", media_type=SSE)
async def services_live(box: BoxParam) -> Streamed:
    """Every service and what needs attention, then what has changed.

    Each time ``data``, an update as JSON: about once a second, also when nothing has changed, and
    at once when something happens. A reader that is slow misses what lies between.
    """
    return Streamed(_updates(box.live), media_type=SSE, stopped_by=box.events)


@get("/services/{name:str}")
async def get_service(box: BoxParam, name: FromPath[str]) -> ServiceView:
    """One service, by name or id."""
    return box.services.get(name)


@get("/services/{name:str}/history")
async def service_history(box: BoxParam, name: FromPath[str]) -> ServiceHistory:
    """What a service did in the last hour, in intervals of ten seconds."""
    return box.history.of(box.services.get(name).id)


@post("/services/{name:str}/scale", status_code=200)
async def scale(
    box: BoxParam,
    name: FromPath[str],
    data: JSONBody[ScaleRequest],
    dry_run: FromQuery[bool] = False,
) -> ServiceView | PlanView:
    """Set the number of instances, or add to it; those that leave finish their requests first.

    With ``dry_run`` nothing is changed, and the answer is the plan.
    """
    if dry_run:
        return await box.services.plan_scale(name, data)
    return await box.services.scale(name, data)


@post("/services/{name:str}/edit", status_code=200)
async def edit(
    box: BoxParam,
    name: FromPath[str],
    data: JSONBody[EditRequest],
    dry_run: FromQuery[bool] = False,
) -> ServiceView | PlanView:
    """Change how a service runs: what is not given stays.

    Its instances are replaced one after another: a new one starts before an old one finishes its
    requests and ends. Where there is no room for both and nothing would serve meanwhile, that is
    refused with 409 and ``downtime_needed``, unless ``allow_downtime`` says that it may be. If the
    new ones never get ready, the service goes back by itself. With ``dry_run`` nothing is changed,
    and the answer is the plan.
    """
    if dry_run:
        return await box.services.plan_edit(name, data)
    return await box.services.edit(name, data)


@post("/services/{name:str}/start", status_code=200)
async def start(box: BoxParam, name: FromPath[str]) -> ServiceView:
    """Start a stopped service, or have a failed one try again at once."""
    return await box.services.start(name)


@post("/services/{name:str}/stop", status_code=200)
async def stop(box: BoxParam, name: FromPath[str]) -> ServiceView:
    """End a service's instances, and keep the service."""
    return await box.services.stop(name)


@delete("/services/{name:str}", status_code=202)
async def delete_service(
    box: BoxParam, name: FromPath[str], confirm: FromQuery[str]
) -> ServiceView:
    """Delete a service for good; ``confirm`` repeats its name."""
    return await box.services.delete(name, confirm)


@get("/services/{name:str}/logs", media_type=TEXT)
async def logs(
    box: BoxParam,
    name: FromPath[str],
    instance: FromQuery[str | None] = None,
    lines: Annotated[int, QueryParameter(ge=0, le=LONGEST_TAIL)] = 200,
    follow: FromQuery[bool] = False,
) -> Streamed:
    """The last lines that a service's engines printed.

    Without ``instance``: of every instance, each line with its instance's id before it. With
    ``follow`` the answer goes on with what they print from now on.
    """

    def sources() -> dict[str, Path]:
        view = box.services.get(name)
        ids = [one.id for one in view.instances] if instance is None else [instance]
        return {one: box.services.log_path(view.id, one) for one in ids}

    if not sources() and not follow:
        box.services.log_path(name, None)
    chunks = read_logs(sources, lines=lines, follow=follow, named=instance is None)
    return Streamed(chunks, media_type=TEXT, stopped_by=box.events)


async def _updates(live: LiveServices) -> AsyncGenerator[bytes, None]:
    async with aclosing(live.subscribe()) as updates:
        async for update in updates:
            yield b"data: %s\n\n" % msgspec.json.encode(update)
