"""Whether one key can keep the others waiting.

``.venv/bin/python -m bench.fairness`` starts a box with the demo model on one instance. One key
keeps 64 long requests under way; nine others send one short request after another. What they wait
for their first byte is compared with what they wait without the heavy key, once in the order of the
fair queue, and once first come, first served, which is what one queue for all of them would be: all
use the same key then. At the end all ten keep the box busy, and Jain's index of the tokens that
each was served is printed: 1 is the same for all, 0.1 is all for one. Takes about a minute.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from bench.load import Connection, Reply, Target
from hydra_box.messages import DeployRequest
from hydra_box.types import Scope
from tests.boxes import RunningBox

SLOTS = 4
LIGHT_KEYS = 9
HEAVY_AT_ONCE = 64
BUSY_AT_ONCE = 8
ROUNDS = 20
"""Short requests of each light key."""
LONG_TOKENS = 200
SHORT_TOKENS = 8
BUSY_SECONDS = 8.0


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="hb-", dir="/tmp") as directory:
        box = RunningBox(Path(directory) / "home", {})
        try:
            keys = [box.key(f"key-{number}", Scope.INFERENCE) for number in range(LIGHT_KEYS + 1)]
            service = box.deploy(
                DeployRequest(model="demo", name="demo", context_length=512, concurrency=SLOTS)
            )
            long, short = (chat(service.access_name, one) for one in (LONG_TOKENS, SHORT_TOKENS))
            fair = [Target(box.url, key) for key in keys]
            fifo = [Target(box.url, keys[0])] * len(keys)
            compare_waits(fair, fifo, long, short)
            compare_shares(fair, fifo, long, short)
        finally:
            box.stop()


def compare_waits(fair: list[Target], fifo: list[Target], long: bytes, short: bytes) -> None:
    print(f"the wait of nine keys for a first byte ({SLOTS} slots, {ROUNDS} requests each)")
    alone = uvloop.run(waits(fair, long, short, heavy=0))
    row("without the heavy key", alone, alone)
    row(f"beside {HEAVY_AT_ONCE} long ones, fair", uvloop.run(measured(fair, long, short)), alone)
    row(f"beside {HEAVY_AT_ONCE} long ones, FIFO", uvloop.run(measured(fifo, long, short)), alone)


async def measured(targets: list[Target], long: bytes, short: bytes) -> list[float]:
    return await waits(targets, long, short, heavy=HEAVY_AT_ONCE)


async def waits(targets: list[Target], long: bytes, short: bytes, *, heavy: int) -> list[float]:
    """Seconds to the first byte of every short request."""
    crowd = [asyncio.create_task(ask_forever(targets[0], long, [])) for _ in range(heavy)]
    # The queue is full of them before the first of the others comes.
    await asyncio.sleep(1.0)
    light = await asyncio.gather(*(ask_times(one, short, ROUNDS) for one in targets[1:]))
    await end(crowd)
    return [reply.first_byte_seconds for replies in light for reply in replies]


def compare_shares(fair: list[Target], fifo: list[Target], long: bytes, short: bytes) -> None:
    print(
        f"\ntokens served in {BUSY_SECONDS:g} s to one key with {HEAVY_AT_ONCE} long requests at "
        f"once and nine with {BUSY_AT_ONCE} short ones"
    )
    for name, targets in (("fair", fair), ("FIFO", fifo)):
        tokens = uvloop.run(shares(targets, long, short))
        print(
            f"  {name}: the one {tokens[0]:,}, the others {min(tokens[1:]):,} to "
            f"{max(tokens[1:]):,}; Jain's index {jain(tokens):.3f}"
        )


async def shares(targets: list[Target], long: bytes, short: bytes) -> list[int]:
    """Tokens of each key's prompts and answers."""
    replies: list[list[Reply]] = [[] for _ in targets]
    tasks = [
        asyncio.create_task(ask_forever(target, body, replies[number]))
        for number, target in enumerate(targets)
        for body, at_once in [(short, BUSY_AT_ONCE) if number else (long, HEAVY_AT_ONCE)]
        for _ in range(at_once)
    ]
    await asyncio.sleep(BUSY_SECONDS)
    await end(tasks)
    return [sum(total_tokens(reply) for reply in one) for one in replies]


async def ask_times(target: Target, body: bytes, times: int) -> list[Reply]:
    replies: list[Reply] = []
    for _ in range(times):
        connection = await target.connect()
        replies.append(await connection.send(target.request(body)))
        connection.close()
    return replies


async def ask_forever(target: Target, body: bytes, replies: list[Reply]) -> None:
    connection: Connection | None = None
    try:
        while True:
            connection = await target.connect()
            replies.append(await connection.send(target.request(body)))
            connection.close()
    finally:
        if connection is not None:
            connection.close()


async def end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    # The box is told that they are gone.
    await asyncio.sleep(0.5)


def chat(model: str, tokens: int) -> bytes:
    """A question whose answer has a fixed length, as a stream that ends with its usage."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": f"hello! {time.time()}"}],
        "max_tokens": tokens,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return json.dumps(body).encode()


def total_tokens(reply: Reply) -> int:
    *_, usage, _, _ = reply.body.split(b"\n\n")
    total: int = json.loads(usage.removeprefix(b"data: "))["usage"]["total_tokens"]
    return total


def jain(values: Sequence[float]) -> float:
    """Jain, Chiu and Hawe (1984)."""
    return sum(values) ** 2 / (len(values) * sum(one * one for one in values))


def row(name: str, seconds: list[float], alone: list[float]) -> None:
    p50, p95 = (at(quantile, seconds) * 1e3 for quantile in (0.5, 0.95))
    ratio = p95 / (at(0.95, alone) * 1e3)
    print(f"  {name:<30} median {p50:8.1f} ms   p95 {p95:8.1f} ms   {ratio:6.1f} times")


def at(quantile: float, values: Sequence[float]) -> float:
    """The value below which that share of the values lies."""
    return sorted(values)[round(quantile * (len(values) - 1))]


if __name__ == "__main__":
    main()
