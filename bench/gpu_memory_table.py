"""The memory estimate beside a real GPU: ``.venv/bin/python -m bench.gpu_memory_table``.

Needs a GPU that nobody else uses, and ``hydra-box engines install llama.cpp`` with CUDA. Every
model is loaded whole, asked a full batch in every slot, and measured from outside as what is
missing of the GPU's memory. Prints the rows for ``docs/memory.md``; ``--seconds`` bounds it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import httpx

from hydra_box.config import resolve_paths
from hydra_box.engines.llama_cpp import ALL_LAYERS, LlamaCpp
from hydra_box.engines.llama_cpp_memory_log import BufferKind, buffers
from hydra_box.engines.llama_cpp_runtimes import find_built
from hydra_box.hardware.probe import Probe
from hydra_box.models.facts import read_facts
from hydra_box.plan.memory import estimate
from hydra_box.types import Accelerator, DeviceMemory, EngineName, EngineOptions, Launch, Runtime
from tests.engines.engine_memory import MIB
from tests.models import random_shapes, real_shapes
from tests.models.random_gguf import RandomModel, write_random_gguf

SETTINGS = (
    (4096, 4, 512, "f16", ALL_LAYERS),
    (32_768, 1, 2048, "f16", ALL_LAYERS),
    (32_768, 4, 512, "q8_0", ALL_LAYERS),
    (32_768, 2, 512, "f16", 12),
)
"""Context of a slot, slots, batch, type of the KV cache, layers on the GPU."""

LOAD_SECONDS = 90.0
SETTLE_SECONDS = 10.0
LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Row:
    """One model at one setting; bytes."""

    model: str
    setting: tuple[int, int, int, str, int]
    buffers: dict[BufferKind, int]
    """On the GPU, as llama.cpp's log has them."""
    loaded: int
    """Missing of the GPU's memory once it is loaded."""
    peak: int
    """The most that was missing while it was asked."""
    predicted: DeviceMemory

    def __str__(self) -> str:
        context, slots, batch, kind, layers = self.setting
        excess = self.predicted.total_bytes - self.peak
        cells = (
            self.model,
            f"{context:,}",
            str(slots),
            f"{batch:,}",
            kind,
            "all" if layers == ALL_LAYERS else str(layers),
            _mib(self.buffers.get(BufferKind.MODEL, 0)),
            _mib(self.buffers.get(BufferKind.KV, 0) + self.buffers.get(BufferKind.RECURRENT, 0)),
            _mib(self.buffers.get(BufferKind.COMPUTE, 0)),
            _mib(self.loaded),
            _mib(self.peak),
            _mib(self.predicted.total_bytes),
            f"{excess / MIB:+,.0f}",
            f"{excess / self.peak:+.1%}",
        )
        return f"| {' | '.join(cells)} |"


HEADER = (
    "| model | context | slots | batch | KV | layers | weights | KV cache | compute | loaded | "
    "peak | predicted | MiB | % |\n"
    "|---|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
)


def main() -> None:
    options = parse()
    deadline = time.monotonic() + options.seconds
    runtime = _runtime()
    print(HEADER, flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="hb-", dir="/tmp") as directory,
        closing(Probe(Path(directory))) as probe,
    ):
        for row in measure(runtime, probe, Path(directory), options.words):
            print(row, flush=True)
            if time.monotonic() > deadline:
                print("the time is over", flush=True)
                break


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1800.0, help="begin no model after it")
    parser.add_argument("-k", dest="words", default="", help="only models with this in their name")
    return parser.parse_args()


def measure(runtime: Runtime, probe: Probe, directory: Path, words: str) -> Iterator[Row]:
    """Every model that the GPU has room for, the small ones first."""
    models = {**random_shapes.MODELS, **real_shapes.MODELS}
    chosen = [(name, one) for name, one in models.items() if words in name]
    for (name, model), setting in product(chosen, SETTINGS):
        row = _measured(runtime, probe, directory, name, model, setting)
        if row is not None:
            yield row


def _measured(
    runtime: Runtime,
    probe: Probe,
    directory: Path,
    name: str,
    model: RandomModel,
    setting: tuple[int, int, int, str, int],
) -> Row | None:
    context, slots, batch, kind, layers = setting
    path = write_random_gguf(model, directory / "model.gguf")
    facts = read_facts(path)
    if context > facts.context_length or (kind != "f16" and not model.shape.heads):
        return None
    if layers != ALL_LAYERS and layers >= len(facts.layers):
        return None
    (gpu,) = probe.look().gpus
    options = EngineOptions(
        context_length=context,
        slots=slots,
        batch_tokens=batch,
        kv_cache_type=kind,
        threads=8,
        gpu_layers=layers,
    )
    predicted = estimate(facts, EngineName.LLAMA_CPP, Accelerator.CUDA, (gpu.uuid,), options)[0]
    if predicted.total_bytes > gpu.free_bytes * 0.9:
        return None
    launch = Launch(
        instance_id="measured-01234567",
        access_name="u-1100a15812cc/measured",
        model_path=str(path),
        socket_path=str(directory / "engine.sock"),
        device=gpu.uuid,
        options=options,
    )

    def missing() -> int:
        (now,) = probe.look().gpus
        return gpu.free_bytes - now.free_bytes

    with _serving(runtime, launch, directory / "log") as http:
        loaded = missing()
        peak = _most(missing, lambda: _ask(http, slots, min(batch, context - 16)))
        log = (directory / "log").read_text(errors="replace")
    _until(lambda: missing() < MIB, SETTLE_SECONDS)
    found: dict[BufferKind, int] = {}
    for one in buffers(log):
        if not one.in_ram:
            found[one.kind] = found.get(one.kind, 0) + one.size_bytes
    return Row(name, setting, found, loaded, max(loaded, peak), predicted)


@contextmanager
def _serving(runtime: Runtime, launch: Launch, log: Path) -> Iterator[httpx.Client]:
    """A client of an engine that has loaded its model."""
    command = LlamaCpp().command(runtime, launch)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command.argv, env=command.env, stdout=output, stderr=subprocess.STDOUT
        )
    transport = httpx.HTTPTransport(uds=launch.socket_path)
    try:
        with httpx.Client(transport=transport, base_url="http://engine", timeout=120) as http:

            def ready() -> bool:
                if process.poll() is not None:
                    raise SystemExit(log.read_text(errors="replace")[-4000:])
                with contextlib.suppress(httpx.TransportError):
                    return http.get("/health").status_code == httpx.codes.OK
                return False

            _until(ready, LOAD_SECONDS)
            yield http
    finally:
        process.kill()
        process.wait()
        Path(launch.socket_path).unlink(missing_ok=True)


def _ask(http: httpx.Client, slots: int, tokens: int) -> None:
    """A prompt to embed in every slot at once, so that every batch is full.

    A model of no content knows no text, and could not say what it generates.
    """

    def one(slot: int) -> None:
        prompt = [1 + (slot + place) % 200 for place in range(tokens)]
        http.post("/embedding", json={"content": prompt}).raise_for_status()

    with ThreadPoolExecutor(slots) as pool:
        list(pool.map(one, range(slots)))


def _most(measure: Callable[[], int], work: Callable[[], None]) -> int:
    """The largest value of ``measure`` during and after ``work``."""
    worker = threading.Thread(target=work)
    worker.start()
    most = 0
    while worker.is_alive():
        most = max(most, measure())
        worker.join(LOOK_SECONDS)
    return max(most, measure())


def _until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)


def _runtime() -> Runtime:
    built = find_built(resolve_paths(os.environ).engines / EngineName.LLAMA_CPP)
    found = [one for one in built if one.accelerator is Accelerator.CUDA]
    if not found:
        raise SystemExit("hydra-box engines install llama.cpp has to build it for CUDA before")
    return found[-1]


def _mib(size: int) -> str:
    return f"{size / MIB:,.0f}"


if __name__ == "__main__":
    main()
