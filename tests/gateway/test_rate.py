"""Tokens per second: of a counter, and of real streams that still go on."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from hydra_box.gateway import pool as pool_module
from hydra_box.gateway.endpoint import Endpoint
from hydra_box.gateway.rate import WINDOW_TICKS, Pace, TokenRate
from hydra_box.types import Service
from tests.gateway.harness import (
    DONE,
    USAGE,
    USAGE_FRAME,
    Answer,
    Gateway,
    begin_stream,
    frame,
    until,
)


def test_the_rate_is_that_of_the_last_looks() -> None:
    rate = TokenRate()
    assert rate.per_second() == 0
    rate.look(100.0)
    assert rate.per_second() == 0
    rate.tokens += 30
    rate.look(102.0)
    assert rate.per_second() == 15
    for second in range(WINDOW_TICKS):
        rate.look(103.0 + second)
    assert rate.per_second() == 0


def test_tokens_before_the_first_look_count() -> None:
    rate = TokenRate()
    rate.tokens += 40
    rate.look(100.0)
    assert rate.per_second() == 40


def test_tokens_that_are_taken_back_make_no_negative_rate() -> None:
    rate = TokenRate()
    rate.look(1.0)
    rate.tokens -= 3
    rate.look(2.0)
    assert rate.per_second() == 0


def test_a_pace_is_the_mean_of_the_answers_so_far() -> None:
    pace = Pace()
    assert pace.tokens_in(10) == 0
    pace.add(10, 1.0)
    pace.add(50, 2.0)
    assert pace.tokens_in(1.5) == 30


def held(release: asyncio.Event) -> Answer:
    """Five events at once; usage, of three tokens, when it is released."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        for _ in range(5):
            await response.write(frame("a"))
        await release.wait()
        await response.write(USAGE_FRAME + DONE)
        return response

    return answer


def endpoint_of(gateway: Gateway, service: Service) -> Endpoint:
    found = gateway.pool.find(service.access_name)
    assert found is not None
    return found


async def test_the_pool_looks_again_and_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "TICK_SECONDS", 0.001)
    service = gateway.service()
    endpoint = endpoint_of(gateway, service)
    looking = asyncio.create_task(gateway.pool.keep_rates())

    def comes() -> bool:
        endpoint.rate.tokens += 1
        return gateway.pool.stats(service.id).tokens_per_second > 0

    await until(comes, "there is a rate")
    await until(lambda: gateway.pool.stats(service.id).tokens_per_second == 0, "and then none")
    looking.cancel()


async def test_the_tokens_of_a_stream_count_while_it_goes_on(gateway: Gateway) -> None:
    service, release = gateway.service(), asyncio.Event()
    await gateway.engine(service, held(release))
    endpoint = endpoint_of(gateway, service)
    endpoint.rate.look(1.0)
    async with gateway.post(service, stream=True) as response:
        await until(lambda: endpoint.rate.tokens == 5, "every event counts as a token")
        endpoint.rate.look(2.0)
        assert gateway.pool.stats(service.id).tokens_per_second == 5
        assert (endpoint.completion_tokens, endpoint.ended) == (0, 0)
        release.set()
        await response.read()
    await until(lambda: endpoint.ended == 1, "it is over")
    assert (endpoint.rate.tokens, endpoint.completion_tokens) == (3, 3)
    assert endpoint.ttft_count == 1
    assert endpoint.ttft_seconds == endpoint.last_ttft_seconds


async def test_what_a_client_that_left_had_of_a_stream_stays_counted(gateway: Gateway) -> None:
    service = gateway.service()
    await gateway.engine(service, held(asyncio.Event()))
    endpoint = endpoint_of(gateway, service)
    async with gateway.post(service, stream=True):
        await until(lambda: endpoint.rate.tokens == 5, "every event counts as a token")
    await until(lambda: endpoint.ended == 1, "it is over")
    assert (endpoint.rate.tokens, endpoint.completion_tokens) == (5, 5)


async def test_other_answers_count_when_they_are_whole(gateway: Gateway) -> None:
    async def ok(_: web.Request) -> web.Response:
        return web.json_response({"usage": USAGE})

    async def broken(_: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "no"}}, status=400)

    good, bad = gateway.service("good"), gateway.service("bad")
    await gateway.engine(good, ok)
    await gateway.engine(bad, broken)
    await gateway.ask(good)
    await gateway.ask(bad)
    counted = [endpoint_of(gateway, one) for one in (good, bad)]
    assert [(one.rate.tokens, one.ended, one.ttft_count) for one in counted] == [
        (3, 1, 0),
        (0, 1, 0),
    ]
