"""A gateway behind a real HTTP server, and engines that misbehave on demand."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from litestar import Litestar
from litestar.types import ASGIApp

from api.openai import create_openai_handler
from hydra_box.config import Settings
from hydra_box.engines import DIALECTS
from hydra_box.gateway.admission import Admission
from hydra_box.gateway.channel import EngineChannel
from hydra_box.gateway.pool import Pool
from hydra_box.gateway.relay import Relay
from hydra_box.http_server import http_server
from hydra_box.keys import KeyRing
from hydra_box.messages import CreateKeyRequest
from hydra_box.store import Store
from hydra_box.types import (
    DesiredState,
    EngineName,
    RequestRecord,
    Service,
    ServiceStatus,
    User,
)
from hydra_box.users import Users
from tests.told import Told

WAIT_SECONDS = 60.0
OTHER_USER = User(id="u-00000000beef", name="other", created_at=1.0)

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def until(condition: Callable[[], object], what: str) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110 - what it watches has no event of its own
            await asyncio.sleep(0.005)
    assert condition(), what


def frame(text: str) -> bytes:
    """A chunk of a chat stream."""
    return b"data: %b\n\n" % json.dumps({"choices": [{"delta": {"content": text}}]}).encode()


USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
USAGE_FRAME = b"data: %b\n\n" % json.dumps({"choices": [], "usage": USAGE}).encode()
DONE = b"data: [DONE]\n\n"


async def begin_stream(request: web.Request) -> web.StreamResponse:
    """The head of an event stream."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    return response


def cut(request: web.Request) -> None:
    """Break the connection, as an engine that dies does."""
    assert request.transport is not None
    request.transport.abort()


@dataclass
class FakeEngine:
    """An HTTP server on a UNIX socket that answers as it is told."""

    socket_path: Path
    answer: Answer
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    open_requests: int = 0
    cut_off: int = 0
    """Requests whose client left before the end."""

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.read())
        self.headers.append(dict(request.headers))
        self.open_requests += 1
        try:
            return await self.answer(request)
        except asyncio.CancelledError:
            self.cut_off += 1
            raise
        finally:
            self.open_requests -= 1

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[FakeEngine]:
        """Answer for as long as the block runs."""
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.UnixSite(runner, str(self.socket_path)).start()
        try:
            yield self
        finally:
            await runner.cleanup()


@dataclass
class Gateway:
    """Everything of the endpoint, and a client of it."""

    url: str
    app: ASGIApp
    directory: Path
    pool: Pool
    relay: Relay
    keys: KeyRing
    users: Users
    admission: Admission
    user: User
    key: str
    http: aiohttp.ClientSession
    stack: AsyncExitStack
    books: list[RequestRecord]
    """Every request that is over, in the order in which they ended."""
    made: int = 0

    def service(
        self,
        name: str = "demo",
        *,
        status: ServiceStatus = ServiceStatus.RUNNING,
        reason: str | None = None,
        owner: User | None = None,
        public: bool = False,
    ) -> Service:
        """Put a service into the pool."""
        owner_id = (owner or self.user).id
        service = Service(
            id=f"svc-{name}",
            name=name,
            access_name=f"public/{name}" if public else f"{owner_id}/{name}",
            owner_id=owner_id,
            public=public,
            base_model="demo",
            model_path="/nowhere.gguf",
            engine=EngineName.LLAMA_CPP,
            context_length=512,
            slots=4,
            desired_instances=1,
            desired_state=DesiredState.RUNNING,
            created_at=1_700_000_000.5,
        )
        self.pool.put_service(service, status, reason)
        return service

    async def engine(
        self, service: Service, answer: Answer, *, slots: int = 4, name: str | None = None
    ) -> FakeEngine:
        """Start a fake engine and add it to the pool as an instance."""
        self.made += 1
        instance_id = name or f"{service.name}-{self.made:08x}"
        path = self.directory / f"{self.made}.sock"
        engine = await self.stack.enter_async_context(FakeEngine(path, answer).serve())
        add_instance(self.pool, service.id, instance_id, path, slots)
        return engine

    def post(
        self,
        service: Service | str,
        path: str = "/v1/chat/completions",
        *,
        key: str | None = None,
        **body: Any,
    ) -> Any:
        """A request for that service, as an aiohttp context manager."""
        model = service if isinstance(service, str) else service.access_name
        return self.http.post(
            self.url + path,
            json={"model": model, "messages": [], **body},
            headers={"Authorization": f"Bearer {key or self.key}"},
        )

    async def ask(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, Any]]:
        """Status and JSON of such a request."""
        async with self.post(*args, **kwargs) as response:
            return response.status, await response.json()

    async def get(self, path: str, *, key: str | None = None) -> tuple[int, dict[str, Any]]:
        """Status and JSON of a GET."""
        headers = {"Authorization": f"Bearer {key or self.key}"}
        async with self.http.get(self.url + path, headers=headers) as response:
            return response.status, await response.json()

    def nothing_left(self, service: Service) -> bool:
        """No slot is lent and nobody waits."""
        stats = self.pool.stats(service.id)
        return stats.requests_in_flight == 0 and stats.requests_queued == 0


def add_instance(
    pool: Pool, service_id: str, instance_id: str, socket_path: Path, slots: int
) -> None:
    """An engine on a socket is ready."""
    channel = EngineChannel(socket_path)
    pool.add_instance(service_id, instance_id, channel, slots, engine=EngineName.LLAMA_CPP)


@asynccontextmanager
async def run_gateway(directory: Path, settings: Settings) -> AsyncIterator[Gateway]:
    """A gateway on a free port of 127.0.0.1, with a key that may call models."""
    async with AsyncExitStack() as stack:
        store = await Store.open(directory / "hydra-box.db")
        stack.push_async_callback(store.close)
        users = Users(store, record=Told())
        await users.load()
        user = users.local
        keys = KeyRing(store, users=users, record=Told())
        await keys.load()
        key = (await keys.create(CreateKeyRequest(name="tests"), user)).key
        pool = Pool(settings)
        stack.push_async_callback(pool.close)
        books: list[RequestRecord] = []
        admission = Admission(keys, settings)
        relay = Relay(
            pool,
            keys,
            DIALECTS,
            settings,
            local_user=user,
            admission=admission,
            record=books.append,
        )
        app = Litestar([create_openai_handler(relay)], openapi_config=None)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        await stack.enter_async_context(http_server(app, listener))
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        yield Gateway(
            url=f"http://127.0.0.1:{listener.getsockname()[1]}",
            app=app,
            directory=directory,
            pool=pool,
            relay=relay,
            keys=keys,
            users=users,
            admission=admission,
            user=user,
            key=key,
            http=http,
            stack=stack,
            books=books,
        )
