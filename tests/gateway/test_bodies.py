"""The bytes of request bodies that the box holds at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from hydra_box.errors import PayloadTooLarge, Unavailable
from hydra_box.gateway.bodies import UNCOUNTED_BYTES, Bodies, HeldBody
from tests.gateway.conftest import StartGateway
from tests.gateway.harness import (
    DONE,
    USAGE,
    USAGE_FRAME,
    Gateway,
    begin_stream,
    cut,
    frame,
    until,
)

CHAT = "/v1/chat/completions"
LARGE = "x" * 200_000


def test_small_bodies_are_taken_however_full_it_is() -> None:
    bodies = Bodies(1)
    with HeldBody(bodies) as one:
        bodies.check(UNCOUNTED_BYTES)
        one.grow_to(UNCOUNTED_BYTES)
        assert bodies.held_bytes == 0
        with pytest.raises(PayloadTooLarge, match="holds at once may have 1") as caught:
            one.grow_to(UNCOUNTED_BYTES + 1)
        assert "body_memory_bytes" in (caught.value.hint or "")


def test_a_body_counts_as_far_as_it_has_come_and_once() -> None:
    bodies = Bodies(400_000)
    with HeldBody(bodies) as one, HeldBody(bodies) as other:
        one.grow_to(100_000)
        one.grow_to(250_000)
        other.grow_to(150_000)
        assert bodies.held_bytes == 400_000
        with pytest.raises(
            Unavailable, match=r"have 400,000 bytes, this one has 150,001"
        ) as caught:
            other.grow_to(150_001)
        assert caught.value.hint
        assert caught.value.retry_after_seconds
        assert bodies.held_bytes == 400_000
        one.let_go()
        one.let_go()
        assert bodies.held_bytes == 150_000
        other.grow_to(400_000)
    assert bodies.held_bytes == 0


class Engine:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def whole(self, request: web.Request) -> web.Response:
        await self.go.wait()
        return web.json_response({"usage": USAGE})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        await response.write(frame("a"))
        await self.go.wait()
        await response.write(USAGE_FRAME + DONE)
        return response


@pytest.fixture
async def tight(start_gateway: StartGateway) -> AsyncIterator[Gateway]:
    """A gateway that has room for one large body."""
    async with start_gateway(body_memory_bytes=300_000) as running:
        yield running
        assert held(running) == 0


def held(gateway: Gateway) -> int:
    return gateway.relay._reader.bodies.held_bytes


def raw(gateway: Gateway, data: Any) -> Any:
    headers = {"Authorization": f"Bearer {gateway.key}"}
    return gateway.http.post(gateway.url + CHAT, data=data, headers=headers)


async def test_a_body_that_finds_no_room_is_told_to_come_again(tight: Gateway) -> None:
    service, engine = tight.service(), Engine()
    await tight.engine(service, engine.whole)
    first = asyncio.create_task(tight.ask(service, user=LARGE))
    await until(lambda: held(tight) >= len(LARGE), "the first one is held")
    async with tight.post(service, user=LARGE) as refused:
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) > 0
        answer = await refused.json()
    assert "together they may have 300,000" in answer["error"]["message"]
    assert answer["hint"]
    small = asyncio.create_task(tight.ask(service))
    await until(lambda: tight.pool.stats(service.id).requests_in_flight == 2, "a small one passes")
    engine.go.set()
    assert [status for status, _ in await asyncio.gather(first, small)] == [200, 200]
    assert (await tight.ask(service, user=LARGE))[0] == 200


async def test_pieces_are_counted_as_they_come(tight: Gateway) -> None:
    service, engine = tight.service(), Engine()
    await tight.engine(service, engine.whole)
    first = asyncio.create_task(tight.ask(service, user=LARGE))
    await until(lambda: held(tight) >= len(LARGE), "the first one is held")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 10_000

    async with raw(tight, pieces()) as refused:
        assert refused.status == 503
        assert "this one has" in (await refused.json())["error"]["message"]
    engine.go.set()
    assert (await first)[0] == 200


async def test_a_stream_that_has_begun_holds_no_body(tight: Gateway) -> None:
    service, engine = tight.service(), Engine()
    await tight.engine(service, engine.stream)
    async with tight.post(service, stream=True, user=LARGE) as first:
        assert (await first.content.readline()).startswith(b"data:")
        assert held(tight) == 0
        async with tight.post(service, stream=True, user=LARGE) as second:
            assert second.status == 200
            engine.go.set()
            await second.read()
        assert DONE.strip() in await first.read()
    assert [one.prompt_tokens for one in tight.books] == [7, 7]


async def test_what_an_aborted_stream_read_is_told_by_its_body_all_the_same(
    tight: Gateway,
) -> None:
    service, engine = tight.service(), Engine()
    await tight.engine(service, engine.stream)
    async with tight.post(service, stream=True, user=LARGE) as left:
        assert (await left.content.readline()).startswith(b"data:")
        left.close()
    await until(lambda: tight.books, "it is over")
    assert tight.books[0].estimated
    assert tight.books[0].prompt_tokens > 100


async def test_the_next_instance_gets_the_whole_body(tight: Gateway) -> None:
    service = tight.service()

    async def dies(request: web.Request) -> web.Response:
        cut(request)
        raise ConnectionError

    async def ok(request: web.Request) -> web.Response:
        return web.json_response({"usage": USAGE})

    first = await tight.engine(service, dies)
    second = await tight.engine(service, ok)
    assert (await tight.ask(service, user=LARGE))[0] == 200
    assert json.loads(second.bodies[0])["user"] == LARGE
    assert first.bodies == second.bodies


async def test_a_body_that_never_has_room_is_too_large(tight: Gateway) -> None:
    status, answer = await tight.ask(tight.service(), user=LARGE * 2)
    assert (status, answer["error"]["code"]) == (413, "request_too_large")
    assert "body_memory_bytes" in answer["hint"]


async def test_what_a_client_had_sent_is_let_go_when_it_leaves(tight: Gateway) -> None:
    host, port = tight.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {CHAT} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {tight.key}\r\n"
    writer.write(f"{head}Content-Length: 250000\r\n\r\n{LARGE}".encode())
    await until(lambda: held(tight) == len(LARGE), "it is held as far as it has come")
    writer.close()
    await until(lambda: held(tight) == 0, "it is let go")


async def test_what_is_no_request_is_let_go(tight: Gateway) -> None:
    async with raw(tight, LARGE.encode()) as refused:
        assert refused.status == 400
    async with tight.post("u-00000000beef/none", user=LARGE) as refused:
        assert refused.status == 404
