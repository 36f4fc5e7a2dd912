"""The gateway in front of real vLLM: what is in the books beside vLLM's own counters."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hydra_box.engines import ENGINES
from hydra_box.engines.metrics import EngineMetrics
from hydra_box.gateway.channel import EngineChannel
from hydra_box.types import EngineName, Outcome, Runtime, Service
from tests.engines.servers import Server
from tests.gateway.harness import DONE, Gateway, until
from tests.gateway.vllm import SLOTS, run_vllm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HELLO = [{"role": "user", "content": "What is your name?"}]
VLLM = ENGINES[EngineName.VLLM]
ENDLESS = 200
"""Tokens of an answer that nobody reads to its end."""
TRIES = 40
"""Now and then it has a whole answer ready before it sends the first event."""
MOST_UNHEARD_TOKENS = 2
"""Of a choice, after the last event that is sent of it."""


@pytest.fixture(scope="module")
def server(vllm_runtime: Runtime, short_directory: Path) -> Iterator[Server]:
    with run_vllm(vllm_runtime, short_directory, "public/demo") as running:
        yield running


@pytest.fixture
async def service(gateway: Gateway, server: Server) -> Service:
    """A service of that process."""
    service = gateway.service(public=True)
    gateway.pool.add_instance(
        service.id,
        "demo-00000000",
        EngineChannel(server.socket_path),
        SLOTS,
        engine=EngineName.VLLM,
    )
    return service


async def counters(server: Server) -> EngineMetrics:
    return await VLLM.metrics(server.socket_path)


async def grown(server: Server, before: EngineMetrics) -> tuple[float, float]:
    """Tokens of prompts and of answers by its own counters, once nothing is under way."""
    now = await counters(server)
    while now.running or now.waiting:
        await asyncio.sleep(0.02)
        now = await counters(server)
    return (
        (now.prompt_tokens or 0) - (before.prompt_tokens or 0),
        (now.completion_tokens or 0) - (before.completion_tokens or 0),
    )


@pytest.mark.parametrize(
    "body",
    [
        {"stream": False, "max_tokens": 5},
        {"stream": True, "max_tokens": 5},
        {"stream": True},
        {"stream": True, "max_tokens": 9, "stream_options": {"include_usage": True}},
        {"stream": True, "max_tokens": 9, "n": 2, "temperature": 1.0},
        {"stream": True, "n": 2, "stream_options": {"include_usage": True}, "ignore_eos": True,
         "max_tokens": 7},
        {"stream": True, "max_tokens": 6,
         "stream_options": {"include_usage": True, "continuous_usage_stats": True}},
        {"stream": False, "max_tokens": 5, "n": 2, "ignore_eos": True},
        {"path": "/v1/completions", "stream": True, "prompt": "hello", "max_tokens": 6},
        {"path": "/v1/completions", "stream": True, "prompt": ["a", "b c d"], "n": 2},
        {"path": "/v1/completions", "stream": False, "prompt": ["a", "b c d"], "n": 2},
    ],
)  # fmt: skip
async def test_the_books_are_what_vllm_counted(
    gateway: Gateway, service: Service, server: Server, body: dict[str, Any]
) -> None:
    before = await counters(server)
    path = body.get("path", "/v1/chat/completions")
    rest = {name: value for name, value in body.items() if name != "path"}
    async with gateway.post(service, path, **{"messages": HELLO, **rest}) as response:
        answer: bytes = await response.read()
        assert response.status == 200, answer
    asked = rest.get("stream_options", {})
    assert rest["stream"] == answer.endswith(DONE)
    if rest["stream"]:
        assert (b'"choices":[]' in answer) == asked.get("include_usage", False)
        assert (answer.count(b'"usage":{') > 1) == asked.get("continuous_usage_stats", False)
    prompt, completion = await grown(server, before)
    (one,) = gateway.books
    assert (one.outcome, one.estimated) == (Outcome.OK, False)
    assert one.completion_tokens == completion
    # Its usage has a prompt once, its counters once for each choice.
    assert one.prompt_tokens * rest.get("n", 1) == prompt


async def test_a_stream_is_what_it_would_be_without_counts_on_the_way(
    gateway: Gateway, service: Service, server: Server
) -> None:
    body: dict[str, Any] = {
        "model": service.access_name,
        "messages": HELLO,
        "max_tokens": 6,
        "temperature": 0,
    }
    connector = aiohttp.UnixConnector(str(server.socket_path))
    async with aiohttp.ClientSession(connector=connector) as direct:
        for path, more in (("/v1/chat/completions", {}), ("/v1/completions", {"prompt": "hello"})):
            asked = {**body, **more, "stream": True}
            async with direct.post(f"http://engine{path}", json=asked) as response:
                expected: bytes = await response.read()
            async with gateway.post(service, path, **asked) as response:
                through: bytes = await response.read()
            assert _without_ids(through) == _without_ids(expected)


def _without_ids(stream: bytes) -> list[bytes]:
    """Its events but for what changes; the last one's fingerprint is in the usage if asked for."""
    events = [line.partition(b'"object"')[2] for line in stream.split(b"\n\n")]
    changing = re.compile(rb'"created":\d+,|,"system_fingerprint":"[^"]*"')
    return [changing.sub(b"", one) for one in events]


@pytest.mark.parametrize(("events", "choices"), [(1, 1), (7, 1), (40, 1), (20, 2)])
async def test_a_client_that_leaves_ends_the_work_and_is_charged_for_it(
    gateway: Gateway, service: Service, server: Server, events: int, choices: int
) -> None:
    for _ in range(TRIES):
        before = await counters(server)
        received = await _leave_after(gateway, service, events, choices)
        await until(lambda: gateway.books, "it is over")
        one = gateway.books.pop()
        prompt, completion = await grown(server, before)
        assert not one.estimated
        assert one.prompt_tokens * choices == prompt
        assert received <= one.completion_tokens <= completion
        # On a busy machine it makes a token more of each after the last event that it sends; and
        # any number, where what makes them runs on while what sends them does not.
        heard = completion <= one.completion_tokens + MOST_UNHEARD_TOKENS * choices
        if heard and one.outcome is Outcome.CLIENT_GONE and completion < ENDLESS * choices:
            return
    raise AssertionError(f"of {TRIES} streams vLLM made each to its end, or in silence")


async def _leave_after(gateway: Gateway, service: Service, events: int, choices: int) -> int:
    """Read so many events of a stream; returns how many of them had tokens."""
    received = 0
    async with gateway.post(
        service, messages=HELLO, max_tokens=ENDLESS, n=choices, ignore_eos=True, stream=True
    ) as response:
        for _ in range(events):
            line: bytes = await response.content.readuntil(b"\n\n")
            received += b'"role"' not in line
        response.close()
    return received
