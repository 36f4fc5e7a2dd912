"""What the gateway costs: the same requests to an engine directly, and through the box.

``.venv/bin/python -m bench.relay`` prints both and their ratio, first with an engine that costs
next to nothing (``bench.fast_engine``), then with llama.cpp on the demo model. Load generator,
daemon and engine share the cores of this machine, which hurts the way through the box more. Takes
about a minute.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvloop

from bench.load import Load, Target, run
from hydra_box.messages import DeployRequest, ServiceView
from hydra_box.types import Scope
from tests.boxes import RunningBox
from tests.waiting import eventually

SECONDS = 5.0
STREAMS = 32


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="hb-", dir="/tmp") as directory:
        box = RunningBox(Path(directory) / "home", {})
        try:
            key = box.key("bench", Scope.INFERENCE)
            fast = box.deploy(
                DeployRequest(model="demo", name="fast", context_length=256, concurrency=STREAMS)
            )
            with fast_engine(box, fast) as socket:
                print(f"an engine that costs next to nothing ({STREAMS} at once)")
                compare_fast(Target(socket), Target(box.url, key), fast.access_name)
            box.client.delete("fast", "fast")
            real = box.deploy(DeployRequest(model="demo", name="real", concurrency=8))
            socket = box.paths.instance_socket(real.instances[0].id)
            print("\nllama.cpp on the demo model (8 at once)")
            compare_real(Target(socket), Target(box.url, key), real.access_name)
        finally:
            box.stop()


@contextmanager
def fast_engine(box: RunningBox, service: ServiceView) -> Iterator[Path]:
    """Put the fast engine where the service's own engine listens: the daemon takes it for that."""
    socket = box.paths.instance_socket(service.instances[0].id)
    socket.unlink()
    process = subprocess.Popen((sys.executable, "-m", "bench.fast_engine", str(socket)))
    try:
        eventually(socket.exists, what="the fast engine listens")
        yield socket
    finally:
        process.terminate()
        process.wait()


def compare_fast(direct: Target, gateway: Target, model: str) -> None:
    whole, stream = chat(model, stream=False), chat(model, stream=True)
    one = measure(direct, gateway, whole, connections=1)
    for name, quantile in (("median", 0.5), ("p99", 0.99)):
        pair = [at(quantile, [reply.seconds for reply in load.replies]) * 1e6 for load in one]
        added = pair[1] - pair[0]
        row(f"one at a time, {name}", pair, "us", f"adds {added:.0f} us")
    many = measure(direct, gateway, whole, connections=STREAMS)
    row("requests", [load.requests_per_second for load in many], "/s")
    streams = measure(direct, gateway, stream, connections=STREAMS)
    row("SSE frames", [load.frames_per_second for load in streams], "/s")


def compare_real(direct: Target, gateway: Target, model: str) -> None:
    stream = chat(model, stream=True)
    one = measure(direct, gateway, stream, connections=1)
    first = [at(0.5, [reply.first_byte_seconds for reply in load.replies]) * 1e3 for load in one]
    row("one at a time, TTFT, median", first, "ms", f"adds {first[1] - first[0]:.2f} ms")
    many = measure(direct, gateway, stream, connections=8)
    row("SSE frames", [load.frames_per_second for load in many], "/s")
    row("requests", [load.requests_per_second for load in many], "/s")


def measure(direct: Target, gateway: Target, body: bytes, *, connections: int) -> tuple[Load, Load]:
    """The same load on both, each after a short first one that opens connections and caches."""

    def loaded(target: Target) -> Load:
        uvloop.run(run(target, body, connections=connections, seconds=0.5))
        return uvloop.run(run(target, body, connections=connections, seconds=SECONDS))

    return loaded(direct), loaded(gateway)


def chat(model: str, *, stream: bool) -> bytes:
    """A question whose answer has a fixed length, so that both ways do the same work."""
    question = {"role": "user", "content": "What is Hydra Box?"}
    fixed = {"temperature": 0, "max_tokens": 48, "ignore_eos": True, "stream": stream}
    return json.dumps({"model": model, "messages": [question], **fixed}).encode()


def at(quantile: float, values: Sequence[float]) -> float:
    """The value below which that share of the values lies."""
    return sorted(values)[round(quantile * (len(values) - 1))]


def row(name: str, pair: Sequence[float], unit: str, note: str = "") -> None:
    direct, gateway = pair
    figures = f"direct {direct:10,.1f} {unit:<3} gateway {gateway:10,.1f} {unit:<3}"
    print(f"  {name:<28} {figures} ratio {gateway / direct:.2f}  {note}".rstrip())


if __name__ == "__main__":
    main()
