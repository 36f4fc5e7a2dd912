"""What engines say of themselves: read, compared with what was asked of them, or not had."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from hydra_box.config import Paths
from hydra_box.engine_metrics import engine_metrics
from hydra_box.engines import ENGINES, llama_cpp_metrics, vllm_metrics
from hydra_box.engines.llama_cpp import LlamaCpp
from hydra_box.engines.metrics import EngineMetrics, MetricsPage
from hydra_box.errors import EngineError
from hydra_box.messages import ServiceView
from hydra_box.types import Histogram, InstanceState
from tests.cli.fake_box import a_service_view, an_instance_view
from tests.engines.servers import Server, launch, serving
from tests.gateway.harness import FakeEngine
from tests.models.tiny_gguf import write_tiny_gguf

CHAT = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}
METRICS = b"""\
llamacpp:prompt_tokens_total 30
llamacpp:prompt_tokens_cached_total 54
llamacpp:requests_processing 1
llamacpp:requests_deferred 2
"""
SLOTS = b'[{"n_ctx": 100, "is_processing": true, "n_prompt_tokens": 25, "next": 1}]'


# --- pages ------------------------------------------------------------------


def test_figures_are_summed_over_their_labels() -> None:
    page = MetricsPage(
        b"# HELP vllm:num_requests_running Number of requests\n"
        b"# TYPE vllm:num_requests_running gauge\n"
        b'vllm:num_requests_running{engine="0",model_name="public/a b"} 2.0\n'
        b'vllm:num_requests_running{engine="1",model_name="public/a b"} 1.0\n'
        b"llamacpp:requests_deferred 4\n"
        b"\n"
        b"nonsense\n"
    )
    assert page.need("vllm:num_requests_running") == 3.0
    assert page.find("llamacpp:requests_deferred") == 4.0
    assert page.find("nonsense") is None
    with pytest.raises(EngineError, match="not understood: it has no vllm:num_requests_waiting"):
        page.need("vllm:num_requests_waiting")


def test_histograms_are_summed_over_their_labels_but_the_bound() -> None:
    lines = (
        f'a_bucket{{engine="{engine}",le="{bound}",model_name="x"}} {count}\n'
        for engine in "01"
        for bound, count in (("0.5", 1), ("10.0", 3), ("+Inf", 4))
    )
    sums = 'a_sum{engine="0"} 7.5\na_sum{engine="1"} 2.5\na_count{engine="0"} 4\n'
    page = MetricsPage(("".join(lines) + sums).encode())
    assert page.histogram("a") == Histogram(bounds=(0.5, 10.0), counts=(2, 4, 2), sum=10.0)
    assert page.histogram("b") is None


def test_prompt_tokens_of_llama_cpp_are_told_with_the_cached_ones() -> None:
    told = llama_cpp_metrics.understand(METRICS, SLOTS)
    assert told == EngineMetrics(
        running=1, waiting=2, kv_cache_used_ratio=0.25, prompt_tokens=84, cached_tokens=54
    )


def test_figures_that_would_mean_something_else_are_left_out() -> None:
    """A llama.cpp that does not count what it had in its cache cannot say how long prompts were."""
    without = METRICS.replace(b"llamacpp:prompt_tokens_cached_total 54\n", b"")
    told = llama_cpp_metrics.understand(without, SLOTS)
    assert (told.prompt_tokens, told.cached_tokens) == (None, None)


@pytest.mark.parametrize("page", [b"", b"\xff\xfe\x00", b"<html>"])
def test_pages_that_are_something_else_are_errors(page: bytes) -> None:
    with pytest.raises(EngineError, match="the engine's counters are not understood"):
        llama_cpp_metrics.understand(page, SLOTS)
    with pytest.raises(EngineError, match="the engine's counters are not understood"):
        vllm_metrics.understand(page)
    with pytest.raises(EngineError, match="the engine's slots are not understood"):
        llama_cpp_metrics.understand(METRICS, page)


# --- the real bundled llama.cpp; test_vllm_server.py has vLLM --------------------


@pytest.fixture(scope="module")
def server(short_directory: Path) -> Iterator[Server]:
    place = short_directory / "metrics"
    place.mkdir()
    tiny = write_tiny_gguf(place / "tiny.gguf", context_length=2048, width=128)
    with serving(launch(tiny, place, slots=2)) as server:
        yield server


def metrics(server: Server) -> EngineMetrics:
    return asyncio.run(LlamaCpp().metrics(server.socket_path))


def usage_of_stream(server: Server) -> dict[str, Any]:
    request = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    chunks = server.ask("/v1/chat/completions", request).body.decode().split("\n\n")
    last = next(chunk for chunk in reversed(chunks) if '"usage"' in chunk)
    found: dict[str, Any] = json.loads(last.removeprefix("data: "))["usage"]
    return found


def test_counters_grow_by_what_was_used(server: Server) -> None:
    before = metrics(server)
    used = [server.ask("/v1/chat/completions", CHAT).json["usage"] for _ in range(3)]
    used.append(usage_of_stream(server))
    after = metrics(server)

    def grown(name: str) -> float:
        difference: float = getattr(after, name) - getattr(before, name)
        return difference

    assert grown("prompt_tokens") == sum(one["prompt_tokens"] for one in used)
    cached = [one["prompt_tokens_details"]["cached_tokens"] for one in used]
    assert grown("cached_tokens") == sum(cached) > 0
    assert grown("completion_tokens") == sum(one["completion_tokens"] for one in used) == 20
    for name in ("prefill_seconds", "decode_seconds", "steps"):
        assert grown(name) > 0, name
    assert (after.running, after.waiting, after.kv_cache_used_ratio) == (0, 0, 0.0)
    assert after.sequences_per_step == 1.0
    assert (after.drafts, after.drafted_tokens, after.accepted_tokens) == (0, 0, 0)
    assert (after.preemptions, after.ttft_seconds) == (None, None)


# --- all at once --------------------------------------------------------------


@pytest.fixture
def paths(short_directory: Path, home: Path) -> Paths:
    return Paths(home=home, run=home.parent / "run")


def a_view(*states: InstanceState) -> ServiceView:
    instances = tuple(
        an_instance_view(f"a-{number:08x}", state=state) for number, state in enumerate(states)
    )
    return a_service_view("a", instances=instances)


@pytest_asyncio.fixture
async def hanging(paths: Paths) -> AsyncIterator[FakeEngine]:
    """The first instance's engine, which takes a question and never answers."""

    async def never(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    socket = paths.instance_socket("a-00000000")
    socket.parent.mkdir(parents=True)
    async with FakeEngine(socket, never).serve() as engine:
        yield engine


async def test_engine_that_hangs_is_left_out_and_the_others_are_not(
    paths: Paths, hanging: FakeEngine
) -> None:
    async def pages(request: web.Request) -> web.StreamResponse:
        return web.Response(body=SLOTS if request.path == "/slots" else METRICS)

    answering = paths.instance_socket("a-00000001")
    answering.parent.mkdir()
    view = a_view(InstanceState.READY, InstanceState.READY)
    told = None
    async with FakeEngine(answering, pages).serve(), asyncio.timeout(60):
        # On a machine that stands still for a while, the other one's answer may be late, too.
        while told is None:
            found = await engine_metrics([view], ENGINES, paths, patience_seconds=1.5)
            assert found["a-00000000"] is None
            told = found["a-00000001"]
    assert told.waiting == 2
    assert set(hanging.bodies) == {b""}, "it was asked"


async def test_only_those_that_serve_are_asked(paths: Paths, hanging: FakeEngine) -> None:
    view = a_view(InstanceState.STARTING, InstanceState.BACKOFF)
    assert await engine_metrics([view], ENGINES, paths, patience_seconds=math.inf) == {}
    assert hanging.bodies == []


async def test_engine_that_is_gone_is_told_as_such(paths: Paths) -> None:
    assert await engine_metrics([a_view(InstanceState.READY)], ENGINES, paths) == {
        "a-00000000": None
    }
