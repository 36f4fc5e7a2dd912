"""Upstreams that misbehave on demand: HTTP servers on loopback, and ways to them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from hydra_box.gateway.remote import RemoteChannel, Target
from hydra_box.plan.upstream_health import Trouble
from hydra_box.types import EngineName, Service
from tests.gateway.harness import Answer, Gateway

MODEL = "deepseek-reasoner"
KEY = "sk-of-the-upstream-0123456789"


@dataclass
class FakeUpstream:
    """What it was asked, and where."""

    answer: Answer
    url: str = ""
    """As one sets it: with ``/v1``."""
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    peers: list[object] = field(default_factory=list)
    """Address of the client's end of each request's connection."""
    cut_off: int = 0
    """Requests whose client left before the end."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        self.bodies.append(await request.read())
        self.headers.append(dict(request.headers))
        assert request.transport is not None
        self.peers.append(request.transport.get_extra_info("peername"))
        try:
            return await self.answer(request)
        except BaseException:
            self.cut_off += 1
            raise


@asynccontextmanager
async def fake_upstream(
    answer: Answer, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[FakeUpstream]:
    """One that answers for as long as the block runs."""
    fake = FakeUpstream(answer)
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{tail:.*}", fake.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    fake.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/v1"
    try:
        yield fake
    finally:
        await runner.cleanup()


@dataclass
class Way:
    """A way to an upstream, and what was told of it; None: a request was answered."""

    channel: RemoteChannel
    told: list[Trouble | None]


def way_to(
    url: str, access_name: str, *, key: str | None = KEY, allows_private: bool = True
) -> Way:
    """A channel to what is at a URL."""
    told: list[Trouble | None] = []
    channel = RemoteChannel(
        Target(base_url=url, model=MODEL, key=key),
        access_name=access_name,
        allows_private=allows_private,
        report=told.append,
    )
    return Way(channel, told)


async def upstream(
    gateway: Gateway, service: Service, answer: Answer, *, name: str = "up-1", weight: float = 1.0
) -> tuple[FakeUpstream, Way]:
    """An upstream of a service, which takes requests."""
    fake = await gateway.stack.enter_async_context(fake_upstream(answer))
    way = way_to(fake.url, service.access_name)
    gateway.pool.add_instance(
        service.id, name, way.channel, 16, engine=EngineName.UPSTREAM, weight=weight
    )
    return fake, way
