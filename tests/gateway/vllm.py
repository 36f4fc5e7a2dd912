"""Real vLLM on the demo model, as the supervisor starts it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from hydra_box.engines import ENGINES
from hydra_box.engines.verify import DEMO_SAFETENSORS
from hydra_box.types import EngineName, Runtime
from tests.engines.servers import Server, launch
from tests.waiting import eventually

START_SECONDS = 400.0
SLOTS = 4


@contextmanager
def run_vllm(runtime: Runtime, directory: Path, access_name: str) -> Iterator[Server]:
    """A process that is ready, for as long as the block runs; it takes its workers along."""
    directory = Path(tempfile.mkdtemp(dir=directory))
    wanted = msgspec.structs.replace(
        launch(
            DEMO_SAFETENSORS,
            directory,
            kv_cache_bytes=64 << 20,
            kv_cache_type="auto",
            slots=SLOTS,
        ),
        access_name=access_name,
    )
    command = ENGINES[EngineName.VLLM].command(runtime, wanted)
    log_path = directory / "engine.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command.argv, env=command.env, stdout=log, stderr=log, start_new_session=True
        )
    server = Server(process, Path(wanted.socket_path), log_path)
    try:
        eventually(server.ready, START_SECONDS, what="vLLM is ready", ignoring=(ConnectionError,))
        yield server
    finally:
        process.kill()
        process.wait()
