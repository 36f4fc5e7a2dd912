"""What /metrics costs: a request more, and a page more, of a box with many instances.

``.venv/bin/python -m bench.metrics`` prints both: the microseconds that a request takes longer
because it is counted, and the milliseconds of a page for one service and for fifty, of four
instances each, whose engines answer as vLLM does. Takes a quarter of a minute.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import accumulate
from pathlib import Path

from aiohttp import web

from api.metrics.page import Scraped, write
from hydra_box.config import Paths
from hydra_box.engine_metrics import engine_metrics
from hydra_box.engines import ENGINES
from hydra_box.gateway.measures import Measures
from tests.metrics_page import scraped
from tests.test_measures import a_record

RECORDS = 20_000
PAGES = 20
SERVICES = (1, 50)
INSTANCES = 4

PLAIN = (
    *("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "prompt_tokens_total"),
    *("prompt_tokens_cached_total", "generation_tokens_total", "num_preemptions_total"),
)
HISTOGRAMS = (
    *("time_to_first_token_seconds", "request_time_per_output_token_seconds", "other_tokens"),
    *("e2e_request_latency_seconds", "request_prefill_time_seconds", "request_queue_time_seconds"),
    *("request_decode_time_seconds", "iteration_tokens_total", "inter_token_latency_seconds"),
)
OTHER_LINES = 200
"""Of vLLM's page, that are of no interest."""


def main() -> None:
    """Print what was measured."""
    print(f"counting a request: {record_microseconds():.1f} us")
    for services in SERVICES:
        asyncio.run(compare(services))


def record_microseconds() -> float:
    """The time of one ``record``, of streams of a hundred keys and fifty services."""
    records = [
        a_record(
            key_id=f"key-{number % 100}",
            service_id=f"svc-s{number % 50}",
            ttft_seconds=number % 997 / 300,
            tpot_seconds=number % 89 / 1000,
        )
        for number in range(RECORDS)
    ]
    turns = []
    for _ in range(PAGES):
        measures = Measures()
        began = time.perf_counter()
        for one in records:
            measures.record(one)
        turns.append(time.perf_counter() - began)
    return min(turns) / RECORDS * 1e6


async def compare(services: int) -> None:
    """The two parts of a page: asking the engines, and writing."""
    known = scraped(services, INSTANCES)
    with tempfile.TemporaryDirectory(prefix="hb-", dir="/tmp") as directory:
        paths = Paths(home=Path(directory), run=Path(directory))
        async with AsyncExitStack() as stack:
            await answer_as_vllm(known, paths, stack)
            asking = await milliseconds(lambda: engine_metrics(known.views, ENGINES, paths))
            engines = await engine_metrics(known.views, ENGINES, paths)
        assert None not in engines.values()
    writing = await milliseconds(lambda: asyncio.to_thread(write, known))
    lines = write(known).count("\n")
    print(
        f"{services} x {INSTANCES} instances, {lines:,} lines: asking the engines {asking:.1f} ms "
        f"({asking / len(engines):.2f} each, with what stands for them), writing {writing:.1f} ms"
    )


async def answer_as_vllm(known: Scraped, paths: Paths, stack: AsyncExitStack) -> None:
    """Stand for every engine, for as long as the stack is open."""
    body = vllm_page().encode()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body)

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    for view in known.views:
        for one in view.instances:
            socket = paths.instance_socket(one.id)
            socket.parent.mkdir(parents=True, exist_ok=True)
            await web.UnixSite(runner, str(socket)).start()


def vllm_page() -> str:
    """As long as vLLM's own, with what is read of it."""
    labels = 'engine="0",model_name="public/a-model"'
    lines = [f"vllm:{name}{{{labels}}} 12345.0" for name in PLAIN]
    for name in HISTOGRAMS:
        counts = accumulate([3] * 22)
        lines += [
            f'vllm:{name}_bucket{{engine="0",le="{number}.5",model_name="public/a-model"}} {count}'
            for number, count in enumerate(counts)
        ]
        lines.append(f'vllm:{name}_bucket{{engine="0",le="+Inf",model_name="a"}} 70.0')
        lines += [f"vllm:{name}_{part}{{{labels}}} 70.0" for part in ("sum", "count")]
    lines += [f"python_gc_objects_{number}{{{labels}}} 1.0" for number in range(OTHER_LINES)]
    return "".join(f"# HELP {line[:20]} Text.\n{line}\n" for line in lines)


async def milliseconds(work: Callable[[], Awaitable[object]]) -> float:
    """The least of a number of turns: what it takes when nobody else wants the core."""
    turns = []
    for _ in range(PAGES):
        began = time.perf_counter()
        await work()
        turns.append(time.perf_counter() - began)
    return min(turns) * 1000


if __name__ == "__main__":
    main()
