"""What passes between an engine and a client, and what happens when the engine fails."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiohttp import web

from hydra_box.gateway import attempt
from hydra_box.messages import CreateKeyRequest
from tests.gateway.conftest import StartGateway
from tests.gateway.harness import (
    DONE,
    USAGE,
    USAGE_FRAME,
    Answer,
    Gateway,
    add_instance,
    begin_stream,
    cut,
    frame,
    until,
)

CUT_PARTS = 7


async def ok(request: web.Request) -> web.Response:
    return web.json_response({"ok": True, "usage": USAGE})


async def dies_at_once(request: web.Request) -> web.Response:
    cut(request)
    raise ConnectionError


async def dies_mid_answer(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"half":')
    cut(request)
    raise ConnectionError


async def loading(request: web.Request) -> web.Response:
    return web.json_response({"error": {"code": 503, "message": "Loading model"}}, status=503)


async def stream(request: web.Request) -> web.StreamResponse:
    """Frames that are cut without regard to their ends."""
    response = await begin_stream(request)
    whole = frame("a") + frame("b") + USAGE_FRAME + DONE
    for start in range(0, len(whole), CUT_PARTS):
        await response.write(whole[start : start + CUT_PARTS])
    return response


async def dies_before_the_first_byte(request: web.Request) -> web.StreamResponse:
    response = await begin_stream(request)
    cut(request)
    return response


async def dies_mid_stream(request: web.Request) -> web.StreamResponse:
    response = await begin_stream(request)
    await response.write(frame("a") + b'data: {"half')
    await asyncio.sleep(0.05)
    cut(request)
    return response


async def test_a_stream_passes_verbatim_without_the_usage_nobody_asked_for(
    gateway: Gateway,
) -> None:
    service = gateway.service()
    engine = await gateway.engine(service, stream)
    async with gateway.post(service, stream=True) as response:
        assert response.status == 200
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["x-request-id"]
        assert await response.read() == frame("a") + frame("b") + DONE
    assert json.loads(engine.bodies[0])["stream_options"] == {"include_usage": True}
    stats = gateway.pool.stats(service.id)
    assert (stats.prompt_tokens, stats.completion_tokens) == (7, 3)
    assert stats.last_ttft_seconds is not None
    assert gateway.nothing_left(service)


async def test_a_client_that_asks_for_usage_gets_it(gateway: Gateway) -> None:
    service = gateway.service()
    await gateway.engine(service, stream)
    options = {"include_usage": True}
    async with gateway.post(service, stream=True, stream_options=options) as response:
        assert await response.read() == frame("a") + frame("b") + USAGE_FRAME + DONE
    assert gateway.pool.stats(service.id).completion_tokens == 3


async def test_the_first_frame_does_not_wait_for_the_second(gateway: Gateway) -> None:
    service = gateway.service()
    go_on = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        await response.write(frame("a"))
        await go_on.wait()
        await response.write(DONE)
        return response

    await gateway.engine(service, slow)
    async with gateway.post(service, stream=True) as response:
        assert await asyncio.wait_for(response.content.readany(), 60) == frame("a")
        go_on.set()
        assert await response.read() == DONE


async def test_a_stream_request_answered_with_json_is_passed_on_whole(gateway: Gateway) -> None:
    service = gateway.service()
    await gateway.engine(service, ok)
    assert await gateway.ask(service, stream=True) == (200, {"ok": True, "usage": USAGE})


@pytest.mark.parametrize("bad", [dies_at_once, dies_mid_answer, loading])
async def test_before_the_first_byte_another_instance_answers(
    gateway: Gateway, bad: Answer
) -> None:
    service = gateway.service()
    first = await gateway.engine(service, bad, name="demo-00000000")
    second = await gateway.engine(service, ok, name="demo-11111111")
    assert (await gateway.ask(service))[0] == 200
    assert (len(first.bodies), len(second.bodies)) == (1, 1)
    assert gateway.nothing_left(service)


@pytest.mark.parametrize("bad", [dies_at_once, dies_before_the_first_byte, loading])
async def test_a_stream_that_has_not_begun_goes_elsewhere(gateway: Gateway, bad: Answer) -> None:
    service = gateway.service()
    await gateway.engine(service, bad, name="demo-00000000")
    await gateway.engine(service, stream, name="demo-11111111")
    async with gateway.post(service, stream=True) as response:
        assert await response.read() == frame("a") + frame("b") + DONE
    assert gateway.nothing_left(service)


async def test_an_instance_whose_socket_is_gone_is_passed_over(gateway: Gateway) -> None:
    service = gateway.service()
    gone = gateway.directory / "gone.sock"
    add_instance(gateway.pool, service.id, "demo-00000000", gone, 4)
    await gateway.engine(service, ok)
    assert (await gateway.ask(service))[0] == 200


async def test_an_engine_that_is_slow_to_accept_is_not_lost(gateway: Gateway) -> None:
    service = gateway.service()
    path = gateway.directory / "slow.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, ExitStack() as others:
        listener.bind(str(path))
        listener.listen(0)
        fill_backlog(path, others)
        add_instance(gateway.pool, service.id, "demo-00000000", path, 4)
        asking = asyncio.create_task(gateway.ask(service))
        await until(lambda: gateway.pool.in_flight("demo-00000000"), "it is sent")
        app = web.Application()
        app.router.add_post("/v1/chat/completions", ok)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        assert (await asking)[0] == 200
        await runner.cleanup()


def fill_backlog(path: Path, others: ExitStack) -> None:
    """Connect until the socket takes no more."""
    while True:
        one = others.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        one.setblocking(False)
        try:
            one.connect(str(path))
        except BlockingIOError:
            return


async def test_a_retry_waits_for_a_busy_instance(gateway: Gateway) -> None:
    service = gateway.service()
    go_on = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await go_on.wait()
        return await ok(request)

    await gateway.engine(service, slow, slots=1, name="demo-11111111")
    busy = asyncio.create_task(gateway.ask(service))
    await until(lambda: gateway.pool.in_flight("demo-11111111") == 1, "one is busy")
    await gateway.engine(service, dies_at_once, slots=1, name="demo-00000000")
    retried = asyncio.create_task(gateway.ask(service))
    await until(lambda: gateway.pool.stats(service.id).requests_queued == 1, "one waits")
    await gateway.pool.remove_instance("demo-00000000")
    go_on.set()
    assert (await busy)[0] == (await retried)[0] == 200


async def test_a_retry_waits_for_the_next_start_of_the_only_instance(gateway: Gateway) -> None:
    service = gateway.service()
    await gateway.engine(service, dies_at_once, name="demo-00000000")
    asking = asyncio.create_task(gateway.ask(service))
    await until(lambda: gateway.pool.stats(service.id).requests_queued == 1, "it waits")
    await gateway.pool.remove_instance("demo-00000000")
    await gateway.engine(service, ok, name="demo-00000000")
    assert (await asking)[0] == 200


async def test_a_request_that_kills_instances_does_not_kill_all(gateway: Gateway) -> None:
    service = gateway.service()
    engines = [await gateway.engine(service, dies_at_once) for _ in range(5)]
    status, answer = await gateway.ask(service)
    assert (status, answer["error"]["code"]) == (502, "engine_error")
    assert "3 instances" in answer["error"]["message"]
    assert sum(len(engine.bodies) for engine in engines) == attempt.MOST_ATTEMPTS


async def test_a_stream_that_dies_after_it_began_ends_with_an_error_event(
    gateway: Gateway,
) -> None:
    service = gateway.service()
    await gateway.engine(service, dies_mid_stream, name="demo-00000000")
    other = await gateway.engine(service, stream, name="demo-11111111")
    async with gateway.post(service, stream=True) as response:
        assert response.status == 200
        body = await response.read()
    assert body.startswith(frame("a") + b"data: ")
    error = json.loads(body.removeprefix(frame("a") + b"data: "))["error"]
    assert error["code"] == "engine_error"
    assert "after the answer had begun" in error["message"]
    assert body.endswith(b"\n\n")
    assert DONE not in body
    assert other.bodies == []
    assert gateway.nothing_left(service)


async def test_an_instance_that_is_taken_away_fails_over(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hydra_box.gateway.closing.LAST_BYTES_SECONDS", 0.01)
    service = gateway.service()

    async def hangs(request: web.Request) -> web.StreamResponse:
        if json.loads(await request.read()).get("stream"):
            response = await begin_stream(request)
            await response.write(frame("a"))
        await asyncio.Event().wait()
        raise AssertionError

    engine = await gateway.engine(service, hangs, name="demo-00000000")
    whole = asyncio.create_task(gateway.ask(service))
    async with gateway.post(service, stream=True) as response:
        assert await response.content.readany() == frame("a")
        await until(lambda: engine.open_requests == 2, "both are at the engine")
        await gateway.engine(service, ok, name="demo-11111111")
        await gateway.pool.remove_instance("demo-00000000")
        assert b'"engine_error"' in await response.read()
    assert (await whole)[0] == 200
    await until(lambda: engine.cut_off == 2, "the engine's connections are closed")
    assert gateway.nothing_left(service)


async def test_an_engines_error_is_translated(gateway: Gateway) -> None:
    service = gateway.service()

    async def too_long(request: web.Request) -> web.Response:
        error = {
            "code": 400,
            "type": "exceed_context_size_error",
            "message": "request (900 tokens) exceeds the available context size (512 tokens)",
            "n_prompt_tokens": 900,
            "n_ctx": 512,
        }
        return web.json_response({"error": error}, status=400)

    await gateway.engine(service, too_long)
    for streaming in (False, True):
        status, answer = await gateway.ask(service, stream=streaming)
        assert (status, answer["error"]["code"]) == (400, "context_length_exceeded")
        assert "900" in answer["error"]["message"]
        assert "512" in answer["error"]["message"]
    assert gateway.nothing_left(service)


@pytest.mark.parametrize("late", [False, True])
async def test_an_error_event_of_the_engine_is_translated(gateway: Gateway, late: bool) -> None:
    service = gateway.service()
    event = {"error": {"code": 500, "message": "/secret/path: boom", "type": "server_error"}}

    async def fails(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        if late:
            await response.write(frame("a"))
        await response.write(b"data: %b\n\n" % json.dumps(event).encode() + DONE)
        return response

    await gateway.engine(service, fails)
    async with gateway.post(service, stream=True) as response:
        body = await response.read()
        assert response.status == (200 if late else 502)
    assert b"secret" not in body
    assert b'"engine_error"' in body
    assert DONE not in body
    assert gateway.nothing_left(service)


async def test_an_answer_over_the_limit_is_refused(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "ANSWER_LIMIT_BYTES", 1000)
    service = gateway.service()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(b"x" * 1000)

    engine = await gateway.engine(service, endless)
    status, answer = await gateway.ask(service)
    assert status == 502
    assert "over 1,000 bytes" in answer["error"]["message"]
    await until(lambda: engine.open_requests == 0, "the engine was told to stop")


async def hangs(request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_full_queue_is_503(start_gateway: StartGateway) -> None:
    async with start_gateway(queue_limit=1) as gateway:
        service = gateway.service()
        await gateway.engine(service, hangs, slots=1)
        asking = [asyncio.create_task(gateway.ask(service)) for _ in range(2)]
        await until(lambda: gateway.pool.stats(service.id).requests_queued, "one waits")
        async with gateway.post(service) as response:
            assert response.status == 503
            assert response.headers["retry-after"] == "5"
            assert "and 1 request waits" in (await response.json())["error"]["message"]
        for one in asking:
            one.cancel()
        await asyncio.wait(asking)
        await until(lambda: gateway.nothing_left(service), "nothing is left")


async def test_a_long_wait_is_503(start_gateway: StartGateway) -> None:
    async with start_gateway(queue_timeout_seconds=0.05) as gateway:
        service = gateway.service()
        await gateway.engine(service, hangs, slots=1)
        busy = asyncio.create_task(gateway.ask(service))
        await until(lambda: gateway.pool.stats(service.id).requests_in_flight, "one is busy")
        status, answer = await gateway.ask(service)
        assert status == 503
        assert "became free in 0.05 s" in answer["error"]["message"]
        busy.cancel()
        await asyncio.wait([busy])
        await until(lambda: gateway.nothing_left(service), "nothing is left")


async def test_a_key_with_too_many_requests_at_once_is_429_and_others_go_on(
    start_gateway: StartGateway,
) -> None:
    async with start_gateway(key_concurrency_limit=1) as gateway:
        service = gateway.service()
        go_on = asyncio.Event()

        async def slow(request: web.Request) -> web.Response:
            await go_on.wait()
            return await ok(request)

        await gateway.engine(service, slow, slots=4)
        busy = asyncio.create_task(gateway.ask(service))
        await until(lambda: gateway.pool.stats(service.id).requests_in_flight, "one is busy")
        async with gateway.post(service) as response:
            assert response.status == 429
            assert response.headers["retry-after"] == "1"
            error = (await response.json())["error"]
        assert error["code"] == "rate_limit_exceeded"
        assert "has 1 request under way, as many as it may" in error["message"]
        other = await gateway.keys.create(CreateKeyRequest(name="other"), gateway.user)
        second = asyncio.create_task(gateway.ask(service, key=other.key))
        await until(lambda: gateway.pool.stats(service.id).requests_in_flight == 2, "both run")
        go_on.set()
        assert [(await one)[0] for one in (busy, second)] == [200, 200]
        assert (await gateway.ask(service))[0] == 200


async def test_stopping_refuses_those_who_wait_and_lets_the_rest_finish(gateway: Gateway) -> None:
    service = gateway.service()
    go_on = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await go_on.wait()
        return await ok(request)

    await gateway.engine(service, slow, slots=1)
    busy = asyncio.create_task(gateway.ask(service))
    await until(lambda: gateway.pool.stats(service.id).requests_in_flight, "one is busy")
    queued = asyncio.create_task(gateway.ask(service))
    await until(lambda: gateway.pool.stats(service.id).requests_queued, "one waits")
    gateway.relay.stop_accepting()
    assert (await queued)[0] == 503
    idle = asyncio.create_task(gateway.pool.wait_all_idle())
    await asyncio.sleep(0)
    assert not idle.done()
    go_on.set()
    assert (await busy)[0] == 200
    await asyncio.wait_for(idle, 60)
