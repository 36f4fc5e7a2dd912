"""A box with hundreds of services that all change every second: what a console must bear.

It speaks as much of the management API as a console asks, and streams an answer to every chat.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator

import msgspec
from aiohttp import web

from hydra_box.messages import BoxStatus, InstanceView, ServiceStats, ServicesUpdate, ServiceView
from hydra_box.types import EngineName, GpuCondition, InstanceState, Machine, ServiceStatus

USER = "u-1100a15812cc"
TOKENS_PER_SECOND = 50
ANSWER_TOKENS = 100_000
WORDS = ("the", "box", "serves", "*models*", "on", "`one`", "machine", "**fast**", "today\n\n")


def serve(port: int, services: int) -> None:
    """Answer until the process is ended."""
    app = web.Application()
    app["services"] = services
    app.add_routes(
        [
            web.get("/api/v1/status", _status),
            web.get("/api/v1/services/live", _services_live),
            web.get("/api/v1/services/{name}/history", _history),
            web.get("/api/v1/machine/live", _machine_live),
            web.get("/api/v1/events/recent", _nothing),
            web.get("/api/v1/events", _events),
            web.get("/api/v1/engines", _nothing),
            web.post("/v1/chat/completions", _chat),
        ]
    )
    web.run_app(app, host="127.0.0.1", port=port, print=None)


def _view(number: int) -> ServiceView:
    name = f"service-{number:03}"
    instance = InstanceView(
        id=f"{name}-00000001",
        pid=1000 + number,
        state=InstanceState.READY,
        device="cpu",
        restarts=0,
        requests_in_flight=random.randrange(4),
        slots=4,
        runtime="llama.cpp/bundled",
        uptime_seconds=time.time() % 10_000,
        memory=(),
        reason=None,
    )
    return ServiceView(
        id=f"svc-{number:012}",
        name=name,
        access_name=f"{USER}/{name}",
        owner_id=USER,
        public=False,
        status=ServiceStatus.RUNNING,
        base_model="demo",
        engine=EngineName.LLAMA_CPP,
        quantization="Q8_0",
        context_length=2048,
        slots=4,
        desired_instances=1,
        ready_instances=1,
        instances=(instance,),
        created_at=time.time(),
        stats=ServiceStats(
            requests=random.randrange(10_000),
            requests_in_flight=random.randrange(4),
            last_ttft_seconds=random.random(),
            tokens_per_second=random.random() * 200,
        ),
    )


def _all(request: web.Request) -> tuple[ServiceView, ...]:
    return tuple(_view(number) for number in range(request.app["services"]))


async def _status(request: web.Request) -> web.Response:
    status = BoxStatus(
        version="0",
        pid=1,
        url=str(request.url.origin()),
        started_at=0.0,
        state_directory="/",
        user_id=USER,
        runtimes={},
        services=_all(request),
        attention=(),
    )
    return _json(status)


async def _nothing(_: web.Request) -> web.Response:
    return _json([])


async def _history(_: web.Request) -> web.Response:
    return _json({"interval_seconds": 10.0, "samples": []})


async def _services_live(request: web.Request) -> web.StreamResponse:
    async def updates() -> AsyncIterator[object]:
        while True:
            yield ServicesUpdate(at=time.time(), changed=_all(request), attention=())
            await asyncio.sleep(1.0)

    return await _stream(request, updates())


async def _machine_live(request: web.Request) -> web.StreamResponse:
    async def looks() -> AsyncIterator[object]:
        while True:
            yield Machine(
                cpu_model="a CPU",
                physical_cores=8,
                logical_cores=16,
                cpu_percent=random.random() * 100,
                ram_total_bytes=64 << 30,
                ram_available_bytes=random.randrange(64 << 30),
                disk_total_bytes=1 << 40,
                disk_free_bytes=1 << 39,
                gpu_condition=GpuCondition.NO_DRIVER,
                gpu_message="no driver",
            )
            await asyncio.sleep(1.0)

    return await _stream(request, looks())


async def _events(request: web.Request) -> web.StreamResponse:
    async def silence() -> AsyncIterator[object]:
        await asyncio.sleep(3600)
        yield {}

    return await _stream(request, silence())


async def _chat(request: web.Request) -> web.StreamResponse:
    async def tokens() -> AsyncIterator[object]:
        for number in range(ANSWER_TOKENS):
            word = f"{WORDS[number % len(WORDS)]} "
            yield {"choices": [{"delta": {"content": word}, "finish_reason": None}]}
            await asyncio.sleep(1 / TOKENS_PER_SECOND)

    return await _stream(request, tokens())


async def _stream(request: web.Request, items: AsyncIterator[object]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionResetError):
        async for item in items:
            await response.write(b"data: %s\n\n" % msgspec.json.encode(item))
    return response


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
