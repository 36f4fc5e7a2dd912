"""What a key may call and take."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from aiohttp import web

from hydra_box.config import Settings
from hydra_box.gateway.access import caller_of
from hydra_box.gateway.admission import Admission, duration
from hydra_box.messages import EditKeyRequest
from hydra_box.plan.usage import QuotaUse
from hydra_box.plan.words import counted
from hydra_box.types import KeyLimits, QuotaPeriod, Scope, TokenQuota
from tests.gateway.asking import a_key, answer, noted, stream
from tests.gateway.conftest import StartGateway
from tests.gateway.harness import Gateway, until

DAY_SECONDS = 86_400.0


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
        assert (status, refused["error"]["code"]) == (404, "model_not_found")
    _, listed = await gateway.get("/v1/models", key=key)
    assert [one["id"] for one in listed["data"]] == [shared.access_name]
    _, listed = await gateway.get("/v1/models")
    assert len(listed["data"]) == 2


async def test_an_admin_keys_globs_count_too_and_case_matters(gateway: Gateway) -> None:
    service = gateway.service(public=True)
    await gateway.engine(service, answer)
    both = (Scope.INFERENCE, Scope.ADMIN)
    for glob, expected in (("PUBLIC/*", 403), ("public/dem?", 200)):
        key = await a_key(gateway, f"admin-{expected}", scopes=both, models=(glob,))
        assert (await gateway.ask(service, key=key))[0] == expected


async def test_a_wrong_name_is_near_to_what_the_key_may_call_only(gateway: Gateway) -> None:
    gateway.service("demo-private")
    gateway.service("demo-public", public=True)
    key = await a_key(gateway, models=("public/*",))
    status, refused = await gateway.ask("public/demo-privat", key=key)
    assert (status, refused["hint"]) == (404, "did you mean public/demo-public?")


# --- limits per minute, and at once ---------------------------------------------


async def test_requests_a_minute(gateway: Gateway) -> None:
    service = gateway.service()
    await gateway.engine(service, answer)
    key = await a_key(gateway, limits=KeyLimits(requests_per_minute=2))
    assert [(await gateway.ask(service, key=key))[0] for _ in range(2)] == [200, 200]
    async with gateway.post(service, key=key) as response:
        assert response.status == 429
        assert 1 <= int(response.headers["retry-after"]) <= 31
        assert response.headers["x-ratelimit-remaining-requests"] == "0"
        error = (await response.json())["error"]
    assert error["code"] == "rate_limit_exceeded"
    assert error["message"] == "the key 'limited' may take 2 requests a minute, and has taken 2"
    assert (await gateway.ask(service))[0] == 200
    assert (await gateway.get("/v1/models", key=key))[0] == 200


async def test_tokens_a_minute_are_reserved_and_settled_with_what_was_taken(
    gateway: Gateway,
) -> None:
    service, go_on = gateway.service(), asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        await go_on.wait()
        return await stream(request)

    await gateway.engine(service, slow)
    key = await a_key(gateway, limits=KeyLimits(tokens_per_minute=400))
    first = asyncio.create_task(gateway.ask(service, key=key, stream=False))
    await until(lambda: gateway.pool.stats(service.id).requests_in_flight, "it runs")
    # Without max_tokens it may take the whole context, of 512.
    status, refused = await gateway.ask(service, key=key)
    assert status == 429
    assert "its requests under way may take 512" in refused["error"]["message"]
    go_on.set()
    await asyncio.wait([first])
    async with gateway.post(service, key=key, stream=True) as response:
        assert response.headers["x-ratelimit-limit-tokens"] == "400"
        await response.read()
    await noted(gateway, 3)
    async with gateway.post(service, key=key, max_tokens=1) as response:
        # Two answers of ten, a little drained; and what this one may take.
        assert 0 < int(response.headers["x-ratelimit-remaining-tokens"]) < 400


@pytest.mark.parametrize("streaming", [False, True])
async def test_every_answer_says_what_is_left(
    gateway: Gateway, streaming: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.admission, "_clock", lambda: 1000.0)
    service = gateway.service()
    await gateway.engine(service, stream if streaming else answer)
    limits = KeyLimits(requests_per_minute=60, tokens_per_minute=60_000)
    key = await a_key(gateway, limits=limits)
    async with gateway.post(service, key=key, stream=streaming, max_tokens=5) as response:
        left = {
            name.removeprefix("x-ratelimit-"): value
            for name, value in response.headers.items()
            if name.startswith("x-ratelimit-")
        }
    assert (left["limit-requests"], left["remaining-requests"]) == ("60", "59")
    # One request a second comes back.
    assert left["reset-requests"] == "1s"
    assert left["limit-tokens"] == "60000"
    # A stream has yet to take what is reserved for it; a whole answer has taken its ten tokens.
    lowest, highest = (59_400, 59_750) if streaming else (59_990, 60_000)
    assert lowest <= int(left["remaining-tokens"]) <= highest
    assert left["reset-tokens"].endswith("ms")


async def test_only_limits_that_a_key_has_are_told(gateway: Gateway) -> None:
    service = gateway.service()
    await gateway.engine(service, answer)
    some = await a_key(gateway, limits=KeyLimits(requests_per_minute=60))
    for key, expected in ((gateway.key, 0), (some, 3)):
        async with gateway.post(service, key=key) as response:
            assert sum("x-ratelimit" in name for name in response.headers) == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.1195, "120ms"), (1.0, "1s"), (1.2, "2s"), (59.5, "1m0s"), (360.0, "6m0s")],
)
def test_durations_are_as_openai_writes_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


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
            assert f"has {counted(most, 'request')} under way" in refused["error"]["message"]
        go_on.set()
        await until(lambda: gateway.nothing_left(service), "all are answered")


async def test_what_a_key_without_limits_did_is_forgotten(gateway: Gateway) -> None:
    service = gateway.service()
    await gateway.engine(service, answer)
    await gateway.ask(service)
    await noted(gateway, 1)
    await until(lambda: not gateway.admission._accounts, "its account is closed")


# --- quotas ---------------------------------------------------------------------


async def test_a_quota_is_of_public_services_only(gateway: Gateway) -> None:
    mine, shared = gateway.service("mine"), gateway.service("shared", public=True)
    await gateway.engine(mine, answer)
    await gateway.engine(shared, answer)
    key = await a_key(gateway, quota=TokenQuota(tokens=15))
    for service in (mine, mine, shared, shared):
        assert (await gateway.ask(service, key=key))[0] == 200
    async with gateway.post(shared, key=key) as response:
        assert response.status == 429
        assert "retry-after" not in response.headers
        error = (await response.json())["error"]
    assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert error["message"] == (
        "the key 'limited' may use 15 tokens of public services in all, and has used 20"
    )
    assert (await gateway.ask(mine, key=key))[0] == 200
    key_id = gateway.books[0].key_id
    assert gateway.admission.quota_used(key_id) == 20
    assert gateway.admission.quota_used("key-none") is None


async def test_a_raised_quota_and_a_raised_limit_count_at_the_next_request(
    gateway: Gateway,
) -> None:
    service = gateway.service(public=True)
    await gateway.engine(service, answer)
    quota = TokenQuota(tokens=1, period=QuotaPeriod.DAY)
    key = await a_key(gateway, quota=quota, limits=KeyLimits(requests_per_minute=1))
    assert (await gateway.ask(service, key=key))[0] == 200
    refusals = []
    for edit in (
        EditKeyRequest(requests_per_minute=10),
        EditKeyRequest(quota=TokenQuota(tokens=100, period=QuotaPeriod.MONTH)),
    ):
        async with gateway.post(service, key=key) as response:
            refusals.append((await response.json())["error"]["code"])
            assert 0 < int(response.headers["retry-after"]) <= DAY_SECONDS + 3600 + 1
        await gateway.keys.edit("limited", edit)
    assert refusals == ["rate_limit_exceeded", "insufficient_quota"]
    assert (await gateway.ask(service, key=key))[0] == 200
    await gateway.keys.edit("limited", EditKeyRequest(quota=TokenQuota(tokens=20)))
    assert (await gateway.ask(service, key=key))[0] == 429


async def test_a_period_that_ends_begins_anew_and_the_books_are_where_it_began(
    gateway: Gateway,
) -> None:
    await a_key(gateway, quota=TokenQuota(tokens=100, period=QuotaPeriod.DAY))
    (key,) = (one for one in gateway.keys.list() if one.name == "limited")
    now = [1_000_000.0]
    used = {key.id: QuotaUse(day=30, week=30, month=30, total=500)}
    admission = Admission(gateway.keys, Settings(), used=used, now=lambda: now[0])
    found = gateway.keys.get(key.id)
    assert found is not None
    caller = caller_of(found, gateway.user)
    assert admission.quota_used(key.id) == 30
    with admission.door(caller):
        ticket = admission.admit(caller, public=True, reservation=1000)
        admission.settle(ticket, 50)
        admission.settle(ticket, 50)
    assert admission.quota_used(key.id) == 80
    now[0] += 2 * DAY_SECONDS
    assert admission.quota_used(key.id) == 0
    await gateway.keys.edit("limited", EditKeyRequest(quota=TokenQuota(tokens=1)))
    assert admission.quota_used(key.id) == 550
