"""Clients that leave, at every moment: nothing of them stays."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from hydra_box.types import Service
from tests.gateway.harness import DONE, FakeEngine, Gateway, begin_stream, frame, until

CLIENTS = 60
SLOTS = 8


async def endless(request: web.Request) -> web.StreamResponse:
    """A stream that only its client can end."""
    response = await begin_stream(request)
    while True:
        await response.write(frame("x"))
        await asyncio.sleep(0.005)


async def silent(request: web.Request) -> web.StreamResponse:
    """An engine that thinks for ever."""
    await asyncio.Event().wait()
    raise AssertionError


async def flood(request: web.Request) -> web.StreamResponse:
    """A stream faster than any client reads."""
    response = await begin_stream(request)
    while True:
        await response.write(frame("x" * 10_000))


async def leave_after_first_bytes(gateway: Gateway, service: Service) -> None:
    async with gateway.post(service, stream=True) as response:
        assert await response.content.readany()
        response.close()


async def nothing_stays(gateway: Gateway, service: Service, *engines: FakeEngine) -> None:
    await until(lambda: gateway.nothing_left(service), "no slot is lent, nobody waits")
    await until(lambda: not any(one.open_requests for one in engines), "engines are let go")
    await asyncio.wait_for(gateway.pool.wait_all_idle(), 60)


async def test_a_storm_of_clients_that_leave_mid_stream(gateway: Gateway) -> None:
    service = gateway.service()
    engines = [await gateway.engine(service, endless, slots=SLOTS) for _ in range(3)]
    leaving = (leave_after_first_bytes(gateway, service) for _ in range(CLIENTS))
    await asyncio.gather(*leaving)
    await nothing_stays(gateway, service, *engines)
    assert sum(one.cut_off for one in engines) == CLIENTS
    assert gateway.pool.stats(service.id).requests == CLIENTS


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_client_that_leaves_before_the_first_byte(
    gateway: Gateway, streaming: bool
) -> None:
    service = gateway.service()
    engine = await gateway.engine(service, silent)
    asking = asyncio.create_task(gateway.ask(service, stream=streaming))
    await until(lambda: engine.open_requests == 1, "the engine works")
    asking.cancel()
    await nothing_stays(gateway, service, engine)
    assert engine.cut_off == 1


async def test_a_client_that_leaves_the_queue(gateway: Gateway) -> None:
    service = gateway.service()
    engine = await gateway.engine(service, silent, slots=1)
    asking = [asyncio.create_task(gateway.ask(service)) for _ in range(5)]
    await until(lambda: gateway.pool.stats(service.id).requests_queued == 4, "four wait")
    for task in asking:
        task.cancel()
    await nothing_stays(gateway, service, engine)
    assert len(engine.bodies) <= 2


async def test_a_client_that_stops_reading_and_then_leaves(gateway: Gateway) -> None:
    service = gateway.service()
    engine = await gateway.engine(service, flood)
    async with gateway.post(service, stream=True) as response:
        await response.content.readany()
        await until(lambda: gateway.pool.stats(service.id).requests_in_flight == 1, "it runs")
        response.close()
    await nothing_stays(gateway, service, engine)


async def test_a_client_that_leaves_while_it_sends(gateway: Gateway) -> None:
    service = gateway.service()
    engine = await gateway.engine(service, silent)
    host, port = gateway.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {gateway.key}\r\nContent-Length: 1000\r\n\r\n{{"
    )
    writer.write(head.encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await nothing_stays(gateway, service, engine)
    assert engine.bodies == []
    assert gateway.pool.stats(service.id).requests == 0


async def test_the_connection_serves_the_next_request(gateway: Gateway) -> None:
    service = gateway.service()

    async def short(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        await response.write(DONE)
        return response

    await gateway.engine(service, short)
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = f'{{"model":"{service.access_name}","stream":true}}'
    request = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {gateway.key}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
    for _ in range(3):
        writer.write(request)
        answer = await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 60)
        assert answer.startswith(b"HTTP/1.1 200")
        assert DONE in answer
    writer.close()
    await nothing_stays(gateway, service)
