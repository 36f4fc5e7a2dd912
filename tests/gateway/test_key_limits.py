"""What a key may call and take, and what is told once a request is over."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from aiohttp import web

from api.trust import Trusted
from hydra_box.gateway.access import Caller
from hydra_box.gateway.finished import Finished
from hydra_box.gateway.key_limit import KeyLimit
from hydra_box.gateway.stream import Usage
from hydra_box.messages import CreateKeyRequest
from hydra_box.types import KeyLimits, Scope
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

TOKENS = Usage(prompt_tokens=USAGE["prompt_tokens"], completion_tokens=USAGE["completion_tokens"])


async def answer(request: web.Request) -> web.Response:
    return web.json_response({"usage": USAGE})


async def stream(request: web.Request) -> web.StreamResponse:
    response = await begin_stream(request)
    await response.write(frame("a") + USAGE_FRAME + DONE)
    return response


async def a_key(gateway: Gateway, name: str = "limited", **more: Any) -> str:
    return (await gateway.keys.create(CreateKeyRequest(name=name, **more), gateway.user)).key


async def told(gateway: Gateway, count: int) -> Finished:
    """The last of so many that are over."""
    await until(lambda: len(gateway.books) >= count, f"{count} requests are over")
    assert len(gateway.books) == count
    return gateway.books[-1]


# --- models -------------------------------------------------------------------


async def test_a_key_calls_what_its_globs_match(gateway: Gateway) -> None:
    mine, shared = gateway.service("mine"), gateway.service("shared", public=True)
    await gateway.engine(mine, answer)
    await gateway.engine(shared, answer)
    key = await a_key(gateway, models=("public/*", "u-*/other"))
    assert (await gateway.ask(shared, key=key))[0] == 200
    for status, refused in (
        await gateway.ask(mine, key=key),
        await gateway.get(f"/v1/models/{mine.access_name}", key=key),
    ):
        assert status == 403
        assert refused["error"]["message"] == (
            f"the key 'limited' may not call {mine.access_name!r}: it is for public/*, u-*/other"
        )
    _, listed = await gateway.get("/v1/models", key=key)
    assert [one["id"] for one in listed["data"]] == [shared.access_name]
    _, listed = await gateway.get("/v1/models")
    assert len(listed["data"]) == 2


async def test_an_admin_keys_globs_count_too_and_case_matters(gateway: Gateway) -> None:
    service = gateway.service(public=True)
    await gateway.engine(service, answer)
    both = (Scope.INFERENCE, Scope.ADMIN)
    for glob, expected in (("PUBLIC/*", 403), ("public/dem?", 200)):
        key = await a_key(gateway, glob, scopes=both, models=(glob,))
        assert (await gateway.ask(service, key=key))[0] == expected


async def test_a_wrong_name_is_near_to_what_the_key_may_call_only(gateway: Gateway) -> None:
    gateway.service("demo-private")
    gateway.service("demo-public", public=True)
    key = await a_key(gateway, models=("public/*",))
    status, refused = await gateway.ask("public/demo-privat", key=key)
    assert (status, refused["hint"]) == (404, "did you mean public/demo-public?")


# --- limits -------------------------------------------------------------------


async def test_requests_a_minute(gateway: Gateway) -> None:
    service = gateway.service()
    await gateway.engine(service, answer)
    key = await a_key(gateway, limits=KeyLimits(requests_per_minute=2))
    assert [(await gateway.ask(service, key=key))[0] for _ in range(2)] == [200, 200]
    async with gateway.post(service, key=key) as response:
        assert response.status == 429
        assert 1 <= int(response.headers["retry-after"]) <= 31
        error = (await response.json())["error"]
    assert error["code"] == "rate_limit_exceeded"
    assert error["message"] == "the key 'limited' may take 2 requests a minute, and has taken 2"
    assert (await gateway.ask(service))[0] == 200
    assert (await gateway.get("/v1/models", key=key))[0] == 200


async def test_tokens_are_taken_when_an_answer_ends_and_may_be_more_than_there_were(
    gateway: Gateway,
) -> None:
    service = gateway.service()
    await gateway.engine(service, stream)
    key = await a_key(gateway, limits=KeyLimits(tokens_per_minute=3))
    async with gateway.post(service, key=key, stream=True) as response:
        assert response.status == 200
        await response.read()
    await told(gateway, 1)
    status, refused = await gateway.ask(service, key=key)
    assert status == 429
    assert refused["error"]["message"].startswith(
        "the key 'limited' may take 3 tokens a minute, and has taken "
    )
    # What was refused was never a request for a service.
    await told(gateway, 1)


async def test_a_keys_own_limit_of_requests_at_once_and_the_settings(
    start_gateway: StartGateway,
) -> None:
    async with start_gateway(key_concurrency_limit=2) as gateway:
        service = gateway.service()
        go_on = asyncio.Event()

        async def slow(request: web.Request) -> web.Response:
            await go_on.wait()
            return await answer(request)

        def runs(count: int) -> bool:
            return gateway.pool.stats(service.id).requests_in_flight == count

        await gateway.engine(service, slow, slots=8)
        # A key may have less than the setting says, and not more.
        for limit, most in ((1, 1), (100, 2), (None, 2)):
            limits = KeyLimits(concurrent_requests=limit)
            key = await a_key(gateway, f"limited-{limit}", limits=limits)
            before = gateway.pool.stats(service.id).requests_in_flight
            for count in range(most):
                task = asyncio.create_task(gateway.ask(service, key=key))
                gateway.stack.push_async_callback(asyncio.wait, [task])
                await until(partial(runs, before + count + 1), "it runs")
            status, refused = await gateway.ask(service, key=key)
            assert status == 429
            assert f"has {most} requests under way" in refused["error"]["message"]
        go_on.set()
        await until(lambda: gateway.nothing_left(service), "all are answered")


def test_what_a_key_without_limits_did_is_forgotten() -> None:
    limit = KeyLimit(5, lambda: 0.0)
    caller = Caller(name="k", key_id="key-1", owner_id="u-1", everything=False, may_infer=True)
    with limit.hold(caller):
        assert len(limit._loads) == 1
        limit.charge(caller, 100)
    assert limit._loads == {}


# --- what is told ---------------------------------------------------------------


async def test_a_request_that_is_over_is_told_once_with_its_tokens(gateway: Gateway) -> None:
    service = gateway.service()
    await gateway.engine(service, answer)
    await gateway.ask(service)
    one = await told(gateway, 1)
    assert one == Finished(
        key_id=one.key_id,
        key_name="tests",
        service_id=service.id,
        access_name=service.access_name,
        failed=False,
        usage=TOKENS,
    )
    assert one.key_id == gateway.keys.list()[0].id


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
    assert (await told(gateway, 1)).key_id is None


async def test_refusals_and_broken_streams_have_failed(gateway: Gateway) -> None:
    service = gateway.service()
    await gateway.ask(service)
    assert (await told(gateway, 1)).failed

    async def breaks(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        await response.write(frame("a") + frame("b"))
        await asyncio.sleep(0)
        cut(request)
        return response

    await gateway.engine(service, breaks)
    async with gateway.post(service, stream=True) as response:
        assert b'"error"' in await response.read()
    one = await told(gateway, 2)
    assert one.failed
    assert one.usage.completion_tokens == 2
    # For a model that is not there no service could tell.
    await gateway.ask("public/nothing")
    await told(gateway, 2)


async def test_who_leaves_has_had_the_events_so_far_and_has_not_failed(gateway: Gateway) -> None:
    service = gateway.service()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        for _ in range(5):
            await response.write(frame("a"))
        await asyncio.Event().wait()
        return response

    await gateway.engine(service, endless)
    key = await a_key(gateway, limits=KeyLimits(tokens_per_minute=1))
    async with gateway.post(service, key=key, stream=True) as response:
        for _ in range(5):
            await response.content.readuntil(b"\n\n")
        response.close()
    one = await told(gateway, 1)
    assert not one.failed
    assert one.usage == Usage(completion_tokens=5)
    # Leaving early is no way around a limit.
    assert (await gateway.ask(service, key=key))[0] == 429
