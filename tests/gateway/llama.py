"""Real llama.cpp processes on the demo model."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

import hydra_box
from hydra_box.engines import ENGINES
from hydra_box.types import Accelerator, EngineName, EngineOptions, Launch, Runtime, RuntimeSource

PACKAGE = Path(hydra_box.__file__).parent
DEMO_MODEL = PACKAGE / "assets" / "demo" / "hydra-box-demo.gguf"
CONTEXT_LENGTH = 256
SLOTS = 4

RUNTIME = Runtime(
    id="llama.cpp/bundled-test-cpu",
    engine=EngineName.LLAMA_CPP,
    version="test",
    accelerator=Accelerator.CPU,
    source=RuntimeSource.BUNDLED,
    location="xllamacpp",
    argv=(sys.executable, str(PACKAGE / "engines" / "xllamacpp_server.py")),
)


@dataclass
class Llama:
    """One process."""

    process: subprocess.Popen[bytes]
    socket_path: Path
    access_name: str

    async def ready(self) -> None:
        """Returns when it has answered."""
        engine = ENGINES[EngineName.LLAMA_CPP]
        while not await engine.probe(self.socket_path, self.access_name):
            assert self.process.poll() is None
            await asyncio.sleep(0.05)

    async def busy_slots(self) -> int:
        """How many of its slots are at work, as it says itself."""
        connector = aiohttp.UnixConnector(str(self.socket_path))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get("http://engine/slots") as response,
        ):
            return sum(slot["is_processing"] for slot in await response.json())

    async def counters(self) -> tuple[float, float, float]:
        """Tokens of prompts, of those in its cache, and of answers, by its own counters."""
        metrics = await ENGINES[EngineName.LLAMA_CPP].metrics(self.socket_path)
        assert metrics.prompt_tokens is not None
        assert metrics.cached_tokens is not None
        assert metrics.completion_tokens is not None
        return metrics.prompt_tokens, metrics.cached_tokens, metrics.completion_tokens


@contextmanager
def run_llama(directory: Path, access_name: str) -> Iterator[Llama]:
    """A process for as long as the block runs; it may still be loading."""
    directory = Path(tempfile.mkdtemp(dir=directory))
    path = directory / "engine.sock"
    launch = Launch(
        instance_id="demo-00000000",
        access_name=access_name,
        model_path=str(DEMO_MODEL),
        socket_path=str(path),
        device="cpu",
        options=EngineOptions(
            context_length=CONTEXT_LENGTH, slots=SLOTS, batch_tokens=CONTEXT_LENGTH
        ),
    )
    command = ENGINES[EngineName.LLAMA_CPP].command(RUNTIME, launch)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command.argv, env=command.env, stdout=log, stderr=log)
    try:
        yield Llama(process, path, access_name)
    finally:
        process.kill()
        process.wait()
