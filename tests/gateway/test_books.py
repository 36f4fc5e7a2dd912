"""What is noted of every request: once, with all that it took, before its client knows the end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from api.trust import Trusted
from hydra_box.messages import EditKeyRequest
from hydra_box.types import KeyLimits, Outcome, RequestRecord
from tests.gateway.asking import a_key, answer, noted, stream
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


def timed(text: str, predicted: int) -> bytes:
    """An event of llama.cpp with its counts."""
    timings = b'{"cache_n":2,"prompt_n":5,"predicted_n":%d}' % predicted
    return b'%b,"timings":%b}\n\n' % (frame(text)[:-3], timings)


def tokens(one: RequestRecord) -> tuple[int, int, int]:
    return one.prompt_tokens, one.cached_tokens, one.completion_tokens


async def test_a_request_is_noted_once_with_all_that_is_known(gateway: Gateway) -> None:
    service = gateway.service(public=True)
    await gateway.engine(service, answer, name="demo-00000000")
    async with gateway.post(service) as response:
        request_id = response.headers["x-request-id"]
        await response.read()
    one = await noted(gateway, 1)
    assert one == RequestRecord(
        id=request_id,
        at=one.at,
        key_id=gateway.keys.list()[0].id,
        key_name="tests",
        user_id=gateway.user.id,
        user_name=gateway.user.name,
        service_id=service.id,
        access_name=service.access_name,
        instance_id="demo-00000000",
        model="demo",
        endpoint="chat/completions",
        prompt_tokens=USAGE["prompt_tokens"],
        completion_tokens=USAGE["completion_tokens"],
        duration_seconds=one.duration_seconds,
    )
    assert one.duration_seconds > 0


async def test_a_stream_has_its_times(gateway: Gateway) -> None:
    service = gateway.service()
    await gateway.engine(service, stream)
    async with gateway.post(service, "/completions", prompt="a", stream=True) as response:
        await response.read()
    one = await noted(gateway, 1)
    assert (one.endpoint, one.stream, one.outcome) == ("completions", True, Outcome.OK)
    assert tokens(one) == (7, 0, 3)
    assert one.ttft_seconds is not None
    assert one.tpot_seconds is not None
    assert 0 < one.ttft_seconds <= one.duration_seconds
    assert one.tpot_seconds <= one.duration_seconds


@pytest.mark.parametrize("streaming", [False, True])
async def test_it_is_noted_before_the_last_byte_can_be_read(
    gateway: Gateway, streaming: bool
) -> None:
    service, go_on = gateway.service(), asyncio.Event()

    async def ends_late(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        await response.write(frame("a"))
        await response.write(USAGE_FRAME + DONE)
        await go_on.wait()
        return response

    await gateway.engine(service, ends_late if streaming else answer)
    async with gateway.post(service, stream=streaming) as response:
        if streaming:
            await response.content.readuntil(DONE)
        else:
            await response.read()
        assert len(gateway.books) == 1
        response.close()
    go_on.set()
    await until(lambda: gateway.nothing_left(service), "it is over")
    # That the client left then changes nothing.
    assert (await noted(gateway, 1)).outcome is Outcome.OK


async def test_the_owner_has_no_key(gateway: Gateway) -> None:
    service = gateway.service()
    await gateway.engine(service, answer)
    body = b'{"model": "%b", "messages": []}' % service.access_name.encode()
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    gone = asyncio.Event()

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        """Nobody looks at it."""

    path = "/v1/chat/completions"
    scope: Any = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
    }
    await Trusted(gateway.app)(scope, receive, send)
    one = await noted(gateway, 1)
    assert (one.key_id, one.key_name, one.user_id) == ("", "", gateway.user.id)


async def test_what_was_not_let_in_is_refused_and_took_nothing(gateway: Gateway) -> None:
    service = gateway.service()
    key = await a_key(gateway, limits=KeyLimits(requests_per_minute=1))
    assert (await gateway.ask(service, key=key))[0] == 503
    first = await noted(gateway, 1)
    assert (await gateway.ask(service, key=key))[0] == 429
    second = await noted(gateway, 2)

    async def takes_nothing(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "no", "code": 400}}, status=400)

    await gateway.engine(service, takes_nothing)
    assert (await gateway.ask(service))[0] == 400
    third = await noted(gateway, 3)
    for one in (first, second, third):
        assert (one.outcome, tokens(one)) == (Outcome.REFUSED, (0, 0, 0))
    assert [bool(one.instance_id) for one in gateway.books] == [False, False, True]


async def test_what_is_refused_before_its_service_is_known_is_its_keys(gateway: Gateway) -> None:
    key = gateway.keys.list()[0]
    assert (await gateway.ask("public/nothing"))[0] == 404
    one = await noted(gateway, 1)
    assert one == RequestRecord(
        id=one.id,
        at=one.at,
        key_id=key.id,
        key_name=key.name,
        user_id=gateway.user.id,
        user_name=gateway.user.name,
        service_id="",
        access_name="(no service)",
        model="",
        endpoint="chat/completions",
        outcome=Outcome.REFUSED,
        duration_seconds=one.duration_seconds,
    )
    headers = {"Authorization": f"Bearer {gateway.key}"}
    url = f"{gateway.url}/completions"
    async with gateway.http.post(url, data=b"{", headers=headers) as response:
        assert response.status == 400
        assert response.headers["x-request-id"] == (await noted(gateway, 2)).id
    assert gateway.books[-1].endpoint == "completions"
    service = gateway.service()
    denied = await a_key(gateway, "denied", denied_models=("*",))
    assert (await gateway.ask(service, key=denied))[0] == 404
    assert (await noted(gateway, 3)).key_name == "denied"
    assert gateway.relay.refused == {
        "model_not_found": 2,
        "invalid_request": 1,
    }


async def test_what_comes_with_a_key_that_nobody_has_is_counted_and_in_no_books(
    gateway: Gateway,
) -> None:
    service = gateway.service()
    assert (await gateway.ask(service, key="hb-nobody"))[0] == 401
    assert (await gateway.get("/v1/models", key="hb-nobody"))[0] == 401
    assert gateway.relay.refused == {"invalid_api_key": 2}
    assert gateway.books == []


async def test_an_engine_that_fails(gateway: Gateway) -> None:
    service = gateway.service()

    async def fails(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "no", "code": 500}}, status=500)

    await gateway.engine(service, fails)
    assert (await gateway.ask(service))[0] == 502
    one = await noted(gateway, 1)
    assert (one.outcome, tokens(one)) == (Outcome.ENGINE_ERROR, (0, 0, 0))


async def test_a_stream_that_breaks_took_what_was_made(gateway: Gateway) -> None:
    service = gateway.service()

    async def breaks(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        await response.write(timed("a", 1) + timed("b", 4))
        await asyncio.sleep(0.02)
        cut(request)
        return response

    await gateway.engine(service, breaks)
    async with gateway.post(service, stream=True) as response:
        assert b'"engine_error"' in await response.read()
        # Before the error could be read.
        assert len(gateway.books) == 1
    one = await noted(gateway, 1)
    assert (one.outcome, one.estimated) == (Outcome.ENGINE_ERROR, False)
    assert tokens(one) == (7, 2, 4)


async def test_a_request_that_fails_over_is_noted_once(gateway: Gateway) -> None:
    service = gateway.service()

    async def dies(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        cut(request)
        return response

    await gateway.engine(service, dies, name="demo-00000000")
    await gateway.engine(service, stream, name="demo-11111111")
    async with gateway.post(service, stream=True) as response:
        await response.read()
    one = await noted(gateway, 1)
    assert (one.instance_id, tokens(one)) == ("demo-11111111", (7, 0, 3))


@pytest.mark.parametrize("counts", [False, True])
async def test_who_leaves_a_stream_is_charged_for_what_was_made(
    gateway: Gateway, counts: bool
) -> None:
    service = gateway.service()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        for number in range(1, 6):
            await response.write(timed("a", 2 * number) if counts else frame("a"))
        await asyncio.Event().wait()
        return response

    await gateway.engine(service, endless)
    key = await a_key(gateway, limits=KeyLimits(tokens_per_minute=1))
    async with gateway.post(service, key=key, stream=True, max_tokens=100) as response:
        for _ in range(5):
            assert await response.content.readuntil(b"\n\n") == frame("a")
        response.close()
    one = await noted(gateway, 1)
    assert (one.outcome, one.estimated) == (Outcome.CLIENT_GONE, not counts)
    assert one.completion_tokens == (10 if counts else 5)
    assert (one.prompt_tokens == 7) == counts
    assert one.prompt_tokens > 0
    # Leaving early is no way around a limit.
    assert (await gateway.ask(service, key=key))[0] == 429


async def test_who_leaves_before_the_first_token_is_charged_for_the_prompt_as_it_was_counted(
    gateway: Gateway,
) -> None:
    service = gateway.service()

    async def reading(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        told = b'"prompt_progress":{"total":7,"cache":2,"processed":4,"time_ms":1}'
        await response.write(b"%b,%b}\n\n" % (timed("", 0)[:-3], told))
        await asyncio.Event().wait()
        return response

    await gateway.engine(service, reading, name="demo-00000000")
    asking = asyncio.create_task(gateway.ask(service, stream=True, max_tokens=9))
    (instance,) = gateway.pool.find(service.access_name).instances.values()  # type: ignore[union-attr]
    await until(lambda: instance.heard >= 2, "it has told how far it is")
    asking.cancel()
    one = await noted(gateway, 1)
    assert (one.outcome, one.estimated, tokens(one)) == (Outcome.CLIENT_GONE, False, (7, 2, 0))
    assert one.ttft_seconds is None


async def test_who_leaves_a_whole_answer_is_charged_by_the_time_that_it_took(
    gateway: Gateway,
) -> None:
    service, waits = gateway.service(), asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        if waits.is_set():
            await asyncio.Event().wait()
        return await answer(request)

    engine = await gateway.engine(service, slow)
    await gateway.ask(service)
    waits.set()
    asking = asyncio.create_task(gateway.ask(service, max_tokens=2))
    await until(lambda: engine.open_requests, "the engine works")
    pace = gateway.pool.find(service.access_name)
    assert pace is not None
    # An answer of three tokens may have taken seconds.
    await until(lambda: pace.pace.tokens_in(3600.0), "there is a pace")
    asking.cancel()
    one = await noted(gateway, 2)
    assert (one.outcome, one.estimated) == (Outcome.CLIENT_GONE, True)
    assert one.prompt_tokens > 0
    assert 0 <= one.completion_tokens <= 2


async def test_who_leaves_the_queue_took_nothing(gateway: Gateway) -> None:
    service = gateway.service()

    async def silent(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    await gateway.engine(service, silent, slots=1)
    busy = asyncio.create_task(gateway.ask(service))
    await until(lambda: gateway.pool.stats(service.id).requests_in_flight, "one is busy")
    waits = asyncio.create_task(gateway.ask(service))
    await until(lambda: gateway.pool.stats(service.id).requests_queued == 1, "one waits")
    waits.cancel()
    await noted(gateway, 1)
    busy.cancel()
    await noted(gateway, 2)
    assert [(one.outcome, bool(one.instance_id), one.estimated) for one in gateway.books] == [
        (Outcome.CLIENT_GONE, False, False),
        (Outcome.CLIENT_GONE, True, True),
    ]


async def test_an_answer_without_usage_is_estimated(gateway: Gateway) -> None:
    service = gateway.service()

    async def says_nothing(request: web.Request) -> web.Response:
        return web.json_response({"data": "x" * 390})

    await gateway.engine(service, says_nothing)
    await gateway.ask(service)
    one = await noted(gateway, 1)
    assert one.estimated
    assert one.completion_tokens == 100
    await gateway.ask(service, "/v1/embeddings", input="a")
    assert (await noted(gateway, 2)).completion_tokens == 0


# --- keys that are shut -----------------------------------------------------------


async def test_revoking_a_key_ends_its_streams(gateway: Gateway) -> None:
    service = gateway.service()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        await response.write(timed("a", 3))
        await asyncio.Event().wait()
        return response

    engine = await gateway.engine(service, endless)
    key = await a_key(gateway, "given")
    async with (
        gateway.post(service, key=key, stream=True) as response,
        gateway.post(service, stream=True) as other,
    ):
        assert await response.content.readuntil(b"\n\n") == frame("a")
        await gateway.keys.revoke("given")
        rest = await response.read()
        error = json.loads(rest.removeprefix(b"data: "))["error"]
        assert error["code"] == "invalid_api_key"
        assert "'given' was revoked" in error["message"]
        await until(lambda: engine.cut_off == 1, "the engine is told to stop")
        # The streams of others go on.
        assert await other.content.readuntil(b"\n\n") == frame("a")
        assert engine.open_requests == 1
    one = gateway.books[0]
    assert (one.key_name, one.outcome, tokens(one)) == ("given", Outcome.CLIENT_GONE, (7, 2, 3))
    assert (await gateway.ask(service, key=key))[0] == 401


async def test_shutting_a_key_answers_what_waits_and_what_is_not_answered(
    gateway: Gateway,
) -> None:
    service = gateway.service()

    async def silent(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    engine = await gateway.engine(service, silent, slots=1)
    key = await a_key(gateway, "given")
    asking = [asyncio.create_task(gateway.ask(service, key=key)) for _ in range(2)]
    await until(lambda: gateway.pool.stats(service.id).requests_queued == 1, "one waits")
    await gateway.keys.edit("given", EditKeyRequest(disabled=True))
    for status, refused in await asyncio.gather(*asking):
        assert (status, refused["error"]["code"]) == (401, "invalid_api_key")
    await until(lambda: gateway.nothing_left(service), "no slot is lent")
    await until(lambda: engine.open_requests == 0, "the engine is let go")
    assert {(one.outcome, bool(one.instance_id)) for one in gateway.books} == {
        (Outcome.REFUSED, False),
        (Outcome.CLIENT_GONE, True),
    }
