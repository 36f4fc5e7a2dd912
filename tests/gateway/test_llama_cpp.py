"""The gateway in front of real llama.cpp."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hydra_box.types import Outcome, Service
from tests.gateway.harness import DONE, Gateway, add_instance, until
from tests.gateway.llama import CONTEXT_LENGTH, SLOTS, Llama, run_llama

CLIENTS = 12
ENDLESS = 200
"""Tokens of an answer that nobody reads to its end."""
TRIES = 40
"""Now and then it has a whole answer ready before it knows that its client left."""
HELLO = [{"role": "user", "content": "hello!"}]


@pytest.fixture
def service(gateway: Gateway) -> Service:
    return gateway.service(public=True)


@pytest.fixture(scope="module")
def process(short_directory: Path) -> Iterator[Llama]:
    with run_llama(short_directory, "public/demo") as llama:
        yield llama


@pytest.fixture
async def llama(gateway: Gateway, service: Service, process: Llama) -> Llama:
    """A ready process, in the pool as ``demo-00000000``."""
    await process.ready()
    add_instance(gateway.pool, service.id, "demo-00000000", process.socket_path, SLOTS)
    return process


async def test_every_call_is_answered(gateway: Gateway, service: Service, llama: Llama) -> None:
    status, chat = await gateway.ask(service, messages=HELLO, max_tokens=4, temperature=0)
    assert (status, chat["object"], chat["model"]) == (200, "chat.completion", service.access_name)
    assert chat["choices"][0]["message"]["content"]
    assert chat["usage"]["completion_tokens"] == 4
    _, text = await gateway.ask(service, "/completions", prompt="hello", max_tokens=2)
    assert (text["object"], text["model"]) == ("text_completion", service.access_name)
    status, vectors = await gateway.ask(service, "/v1/embeddings", input=["hello", "you"])
    assert (status, len(vectors["data"])) == (200, 2)
    stats = gateway.pool.stats(service.id)
    assert stats.requests == 3
    assert stats.completion_tokens == 4 + 2
    assert stats.prompt_tokens == sum(
        answer["usage"]["prompt_tokens"] for answer in (chat, text, vectors)
    )


@pytest.mark.parametrize("wants_usage", [False, True])
async def test_a_stream(
    gateway: Gateway, service: Service, llama: Llama, wants_usage: bool
) -> None:
    options = {"include_usage": wants_usage}
    async with gateway.post(
        service, messages=HELLO, max_tokens=4, stream=True, stream_options=options
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        body: bytes = await response.read()
    assert body.endswith(DONE)
    frames = [frame.removeprefix(b"data: ") for frame in body.removesuffix(DONE).split(b"\n\n")]
    chunks = [json.loads(frame) for frame in frames if frame]
    assert {chunk["model"] for chunk in chunks} == {service.access_name}
    assert [bool(chunk["choices"]) for chunk in chunks].count(False) == wants_usage
    stats = gateway.pool.stats(service.id)
    assert stats.completion_tokens == 4
    assert stats.last_ttft_seconds is not None


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_prompt_longer_than_the_context_names_both_counts(
    gateway: Gateway, service: Service, llama: Llama, streaming: bool
) -> None:
    messages = [{"role": "user", "content": "hello! " * 2 * CONTEXT_LENGTH}]
    status, answer = await gateway.ask(service, messages=messages, stream=streaming)
    assert (status, answer["error"]["code"]) == (400, "context_length_exceeded")
    assert f"{CONTEXT_LENGTH} tokens" in answer["error"]["message"]
    assert gateway.nothing_left(service)


async def test_clients_that_leave_mid_stream_leave_no_busy_slot(
    gateway: Gateway, service: Service, llama: Llama
) -> None:
    async def leave() -> None:
        async with gateway.post(
            service, messages=HELLO, max_tokens=ENDLESS, ignore_eos=True, stream=True
        ) as response:
            assert await response.content.readany()
            response.close()

    await asyncio.gather(*(leave() for _ in range(CLIENTS)))
    await until(lambda: gateway.nothing_left(service), "no slot is lent")
    async with asyncio.timeout(60):
        while await llama.busy_slots():  # noqa: ASYNC110 - the engine has no event to wait for
            await asyncio.sleep(0.02)
    status, _ = await gateway.ask(service, messages=HELLO, max_tokens=1)
    assert status == 200


async def test_a_killed_engine_costs_no_request_that_had_not_begun(
    gateway: Gateway, service: Service, llama: Llama
) -> None:
    killed = asyncio.Event()

    async def ask_on() -> set[int]:
        """Ask again and again: it must not be idle when it is killed."""
        statuses = set()
        while not killed.is_set():
            status, _ = await gateway.ask(service, messages=HELLO, max_tokens=20)
            statuses.add(status)
        return statuses

    with run_llama(gateway.directory, service.access_name) as other:
        await other.ready()
        add_instance(gateway.pool, service.id, "demo-11111111", other.socket_path, SLOTS)
        asking = [asyncio.create_task(ask_on()) for _ in range(CLIENTS)]
        await until(lambda: gateway.pool.in_flight("demo-11111111"), "the other one works")
        other.process.kill()
        await asyncio.to_thread(other.process.wait)
        await gateway.pool.remove_instance("demo-11111111")
        killed.set()
        assert await asyncio.gather(*asking) == [{200}] * CLIENTS
    assert gateway.nothing_left(service)


# --- the books beside the engine's own counters -------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"stream": False, "max_tokens": 5},
        {"stream": True, "max_tokens": 5},
        {"stream": True},
        {"stream": True, "max_tokens": 9, "n": 3, "temperature": 1.0},
        {"stream": True, "max_tokens": 9, "n": 2, "stream_options": {"include_usage": True}},
        {"stream": False, "max_tokens": 5, "n": 2, "ignore_eos": True},
        {"path": "/v1/completions", "stream": True, "prompt": "hello", "max_tokens": 6},
        {"path": "/v1/completions", "stream": True, "prompt": ["a", "b c d"], "n": 2},
        {"path": "/v1/embeddings", "input": ["hello", "you"]},
    ],
)
async def test_the_books_are_what_the_engine_counted(
    gateway: Gateway, service: Service, llama: Llama, body: dict[str, Any]
) -> None:
    before = await llama.counters()
    path = body.get("path", "/v1/chat/completions")
    rest = {name: value for name, value in body.items() if name != "path"}
    async with gateway.post(service, path, **{"messages": HELLO, **rest}) as response:
        assert response.status == 200
        answer: bytes = await response.read()
    assert b"timings_per_token" not in answer
    after = await llama.counters()
    (one,) = gateway.books
    assert one.outcome is Outcome.OK
    assert one.completion_tokens == after[2] - before[2]
    assert one.prompt_tokens - one.cached_tokens == (after[0] - after[1]) - (before[0] - before[1])
    # Of a whole answer it counts one choice only.
    assert one.estimated == (rest.get("n", 1) > 1 and not rest["stream"])


async def test_a_short_prompt_in_front_makes_a_long_one_no_cheaper(
    gateway: Gateway, service: Service, llama: Llama
) -> None:
    """Of several prompts it tells the tokens of the first one only."""
    before = await llama.counters()
    long = "what is the name of the box " * 20
    status, _ = await gateway.ask(service, "/v1/completions", prompt=["a", long], max_tokens=2)
    assert status == 200
    after = await llama.counters()
    (one,) = gateway.books
    assert one.estimated
    assert (after[0] - before[0]) / 2 < one.prompt_tokens < (after[0] - before[0]) * 2


async def test_a_stream_is_what_it_would_be_without_counts_on_the_way(
    gateway: Gateway, service: Service, llama: Llama
) -> None:
    body: dict[str, Any] = {
        "model": service.access_name,
        "messages": HELLO,
        "max_tokens": 6,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    connector = aiohttp.UnixConnector(str(llama.socket_path))
    async with (
        aiohttp.ClientSession(connector=connector) as direct,
        direct.post("http://engine/v1/chat/completions", json=body) as response,
    ):
        expected: bytes = await response.read()
    async with gateway.post(service, **body) as response:
        through: bytes = await response.read()
    changing = re.compile(rb'"(created|id)":[^,]+|"timings":\{[^}]*\}|"cached_tokens":\d+')
    assert changing.sub(b"", through) == changing.sub(b"", expected)
    assert through.count(b'"timings"') == expected.count(b'"timings"') == 1


@pytest.mark.parametrize(("events", "more"), [(1, {}), (7, {"timings_per_token": 1}), (40, {})])
async def test_a_client_that_leaves_is_charged_for_what_the_engine_had_made(
    gateway: Gateway, service: Service, llama: Llama, events: int, more: dict[str, Any]
) -> None:
    for _ in range(TRIES):
        received = 0
        async with gateway.post(
            service, messages=HELLO, max_tokens=ENDLESS, ignore_eos=True, stream=True, **more
        ) as response:
            while received < events:
                line: bytes = await response.content.readuntil(b"\n\n")
                received += b'"content":"' in line
            response.close()
        await until(lambda: gateway.books, "it is over")
        one = gateway.books.pop()
        assert (one.estimated, one.prompt_tokens) == (False, 12)
        # Each event is a token, and some were on their way when the client left.
        assert received <= one.completion_tokens <= ENDLESS
        if one.outcome is Outcome.CLIENT_GONE and one.completion_tokens < ENDLESS:
            return
    raise AssertionError(f"of {TRIES} streams llama.cpp made each to its end")


async def test_it_tells_the_tokens_of_a_prompt_before_the_first_token(
    gateway: Gateway, service: Service, llama: Llama
) -> None:
    """That is what a client that leaves until then is charged."""
    async with gateway.post(
        service, messages=HELLO, max_tokens=2, stream=True, return_progress=True
    ) as response:
        events: list[bytes] = (await response.read()).split(b"\n\n")
    told = json.loads(events[0].removeprefix(b"data: "))["prompt_progress"]
    (one,) = gateway.books
    assert told["total"] == one.prompt_tokens
    assert told["cache"] == one.cached_tokens
    assert b'"content":"' not in events[0]
