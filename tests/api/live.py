"""A whole appliance in a thread of the test's process, so that a test can look inside it."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from api.app import create_app
from api.trust import Trusted
from hydra_box.assembly import assemble
from hydra_box.box import Box
from hydra_box.catalog import DEMO_MODEL
from hydra_box.client import Client
from hydra_box.config import Settings, resolve_paths
from hydra_box.ending import finish
from hydra_box.engines import DISTRIBUTIONS, ENGINES
from hydra_box.engines.build_llama_cpp import build
from hydra_box.engines.install_llama_cpp import Builder
from hydra_box.engines.llama_cpp_distribution import LlamaCppDistribution
from hydra_box.engines.runtimes import RuntimeManager
from hydra_box.http_server import http_server
from hydra_box.journal import Journal
from hydra_box.messages import CreateKeyRequest
from hydra_box.sockets import listen_privately
from hydra_box.types import EngineName, Scope
from tests.fakes.engine import install_as_built

T = TypeVar("T")

TIMEOUT_SECONDS = 120.0


class LiveBox:
    """The rooms, the servers in front of them, and the event loop that they run on."""

    def __init__(self, home: Path, environ: dict[str, str], builder: Builder) -> None:
        self.box: Box
        self.url: str
        self._home = home
        self._environ = environ
        self._builder = builder
        self._loop = asyncio.new_event_loop()
        self._started: Future[None] = Future()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="live box")
        self._thread.start()
        self._started.result(TIMEOUT_SECONDS)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something on the box's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT_SECONDS)

    def client(self, **how: Any) -> Client:
        """A client of the UNIX socket, or as it is told."""
        return Client(**(how or {"socket": self.box.paths.management_socket}))

    def key(self, name: str, *scopes: Scope) -> str:
        """A new key's secret."""
        request = CreateKeyRequest(name=name, scopes=scopes)
        return self.run(self.box.keys.create(request, self.box.local_user)).key

    def listeners(self) -> int:
        """How many subscriptions to the events there are."""
        return len(self.box.events._queues)

    def stop(self) -> None:
        """End it as SIGTERM would; to repeat it changes nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(TIMEOUT_SECONDS)
            assert not self._thread.is_alive()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._serve())
            except BaseException as error:
                if self._started.done():
                    raise
                self._started.set_exception(error)

    async def _serve(self) -> None:
        paths = resolve_paths({"HYDRA_BOX_HOME": str(self._home)})
        paths.create()
        install_as_built(paths.engines)
        settings = Settings()
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            listen_privately(paths) as private,
        ):
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            assembled = assemble(paths, settings, self.url, self._environ)
            async with assembled as (box, supervisor):
                self.box = await self._with_builder(box)
                app = create_app(self.box)
                await box.services.load()
                async with (
                    http_server(app, listener),
                    http_server(Trusted(app), private),
                ):
                    self._started.set_result(None)
                    await self._stop.wait()
                    await finish(box, supervisor)

    async def _with_builder(self, box: Box) -> Box:
        if self._builder is build:
            return box
        runtimes = RuntimeManager(
            box.store,
            box.paths,
            ENGINES,
            DEMO_MODEL,
            record=Journal(box.store, box.events).record,
            environ=self._environ,
            distributions={
                **DISTRIBUTIONS,
                EngineName.LLAMA_CPP: LlamaCppDistribution(self._builder),
            },
        )
        await runtimes.load()
        return dataclasses.replace(box, runtimes=runtimes)


@contextmanager
def live_box(
    home: Path, *, environ: dict[str, str] | None = None, builder: Builder = build
) -> Iterator[LiveBox]:
    """A box with a fake runtime that is preferred to the bundled one."""
    live = LiveBox(home, environ or {}, builder)
    try:
        yield live
    finally:
        live.stop()
