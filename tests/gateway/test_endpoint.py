"""The endpoint's rules: keys, paths, methods, models, limits; over a real server."""

from __future__ import annotations

import asyncio
import io
import json
import socket
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from api.trust import Trusted
from hydra_box.http_server import http_server
from hydra_box.messages import CreateKeyRequest
from hydra_box.types import Scope, ServiceStatus
from tests.gateway.conftest import StartGateway
from tests.gateway.harness import OTHER_USER, USAGE, Gateway

CHAT = "/v1/chat/completions"
BOTH = CreateKeyRequest(name="both", scopes=(Scope.INFERENCE, Scope.ADMIN))


async def echo(request: web.Request) -> web.Response:
    """Answers with the path that it was asked on."""
    return web.json_response({"path": request.path, "usage": USAGE})


@pytest.mark.parametrize("prefix", ["/v1", ""])
@pytest.mark.parametrize("path", ["/chat/completions", "/completions", "/embeddings"])
async def test_each_call_with_and_without_v1(gateway: Gateway, prefix: str, path: str) -> None:
    service = gateway.service()
    engine = await gateway.engine(service, echo)
    async with gateway.post(service, prefix + path) as response:
        assert response.status == 200
        assert response.headers["content-type"].startswith("application/json")
        assert response.headers["x-request-id"].startswith("req-")
        assert (await response.json())["path"] == f"/v1{path}"
    assert "Authorization" not in engine.headers[0]
    stats = gateway.pool.stats(service.id)
    assert (stats.requests, stats.prompt_tokens, stats.completion_tokens) == (1, 7, 3)
    assert gateway.nothing_left(service)


async def test_models_lists_what_the_key_may_call(gateway: Gateway) -> None:
    mine = gateway.service("mine", status=ServiceStatus.DEPLOYING)
    shared = gateway.service("shared", owner=OTHER_USER, public=True)
    theirs = gateway.service("theirs", owner=OTHER_USER)
    leaving = gateway.service("leaving", status=ServiceStatus.DELETING)
    for path in ("/v1/models", "/models", "/v1/models/", "/v1//models"):
        status, answer = await gateway.get(path)
        assert (status, answer["object"]) == (200, "list")
        assert [one["id"] for one in answer["data"]] == [mine.access_name, shared.access_name]
    assert answer["data"][0] == {
        "id": mine.access_name,
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": gateway.user.id,
        "context_length": 512,
    }
    assert (await gateway.get(f"/v1/models/{leaving.access_name}"))[0] == 404
    admin = await gateway.keys.create(BOTH, gateway.user)
    _, answer = await gateway.get("/v1/models", key=admin.key)
    assert theirs.access_name in [one["id"] for one in answer["data"]]


async def test_one_model_by_its_name_with_a_slash(gateway: Gateway) -> None:
    name = gateway.service("qwen2").access_name
    for path in (f"/v1/models/{name}", f"/models/{name}"):
        status, answer = await gateway.get(path)
        assert (status, answer["id"]) == (200, name)


async def test_an_encoded_slash_reaches_the_endpoint_as_a_slash(gateway: Gateway) -> None:
    name = gateway.service("qwen2").access_name
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    request = (
        f"GET /v1/models/{quote(name, safe='')} HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {gateway.key}\r\nConnection: close\r\n\r\n"
    )
    assert "%2F" in request
    writer.write(request.encode())
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert f'"id":"{name}"'.encode() in answer


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (None, "missing"),
        ("Basic abc", "not 'Bearer' and a key"),
        ("Bearer hb-wrong", "not one of this box"),
    ],
)
async def test_a_bad_key(gateway: Gateway, header: str | None, words: str) -> None:
    headers = {"Authorization": header} if header else {}
    for path in (CHAT, "/v1/nothing"):
        async with gateway.http.post(gateway.url + path, headers=headers, json={}) as response:
            assert response.status == 401
            assert response.headers["www-authenticate"].startswith("Bearer")
            error = (await response.json())["error"]
            assert words in error["message"]
            assert error["code"] == "invalid_api_key"


async def test_a_revoked_key_is_refused_at_once(gateway: Gateway) -> None:
    service = gateway.service()
    await gateway.engine(service, echo)
    assert (await gateway.ask(service))[0] == 200
    await gateway.keys.revoke("tests")
    status, answer = await gateway.ask(service)
    assert status == 401
    assert "'tests' was revoked" in answer["error"]["message"]


async def test_the_inference_scope_is_needed(gateway: Gateway) -> None:
    service = gateway.service()
    request = CreateKeyRequest(name="admin", scopes=(Scope.ADMIN,))
    admin = await gateway.keys.create(request, gateway.user)
    for status, answer in (
        await gateway.ask(service, key=admin.key),
        await gateway.get("/v1/models", key=admin.key),
    ):
        assert (status, answer["error"]["code"]) == (403, "permission_denied")
        assert "inference" in answer["error"]["message"]


async def test_another_users_service_is_as_one_that_is_not_there(gateway: Gateway) -> None:
    mine = gateway.service("mine")
    service = gateway.service("theirs", owner=OTHER_USER)
    await gateway.engine(service, echo)
    nothing = service.access_name.replace("theirs", "nobody")
    for there, not_there in (
        (await gateway.ask(service), await gateway.ask(nothing)),
        (
            await gateway.get(f"/v1/models/{service.access_name}"),
            await gateway.get(f"/v1/models/{nothing}"),
        ),
    ):
        assert (there[0], there[1]["error"]["code"]) == (404, "model_not_found")
        assert there[1]["hint"] == f"this key may call {mine.access_name}"
        assert str(there).replace("theirs", "nobody") == str(not_there)
    admin = await gateway.keys.create(BOTH, gateway.user)
    assert (await gateway.ask(service, key=admin.key))[0] == 200


async def test_over_the_trusted_socket_no_key_is_needed(gateway: Gateway) -> None:
    service = gateway.service("theirs", owner=OTHER_USER)
    await gateway.engine(service, echo)
    path = str(gateway.directory / "trusted.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        async with (
            http_server(Trusted(gateway.app), listener),
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as local,
            local.post(f"http://box{CHAT}", json={"model": service.access_name}) as response,
        ):
            assert response.status == 200


async def test_no_header_makes_a_request_trusted(gateway: Gateway) -> None:
    headers = {"trusted": "True", "x-trusted": "1", "state": "trusted"}
    url = f"{gateway.url}/v1/models?trusted=True"
    async with gateway.http.get(url, headers=headers) as response:
        assert response.status == 401


async def test_an_unknown_model_names_the_nearest_that_the_key_may_call(gateway: Gateway) -> None:
    mine = gateway.service("qwen2")
    gateway.service("qwen3", owner=OTHER_USER)
    status, answer = await gateway.ask("qwen")
    assert (status, answer["error"]["code"]) == (404, "model_not_found")
    assert answer["error"]["param"] == "model"
    assert answer["hint"] == f"did you mean {mine.access_name}?"
    status, answer = await gateway.get("/v1/models/nothing/like/it")
    assert (status, answer["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", CHAT, 405, "method_not_allowed"),
        ("DELETE", "/v1/models/x/y", 405, "method_not_allowed"),
        ("POST", "/models", 405, "method_not_allowed"),
        ("OPTIONS", CHAT, 405, "method_not_allowed"),
        ("GET", "/v1", 404, "not_found"),
        ("POST", "/v1/images/generations", 404, "not_found"),
        ("POST", "/v1/chat/completions/x", 404, "not_found"),
        ("POST", "/v1/v1/chat/completions", 404, "not_found"),
    ],
)
async def test_wrong_paths_and_methods(
    gateway: Gateway, method: str, path: str, status: int, code: str
) -> None:
    headers = {"Authorization": f"Bearer {gateway.key}"}
    async with gateway.http.request(method, gateway.url + path, headers=headers) as response:
        assert response.status == status
        answer = await response.json()
        assert answer["error"]["code"] == code
        assert answer["error"]["type"] == "invalid_request_error"
        if status == 405:
            assert response.headers["allow"] in answer["hint"]


async def test_bad_json_is_400(gateway: Gateway) -> None:
    headers = {"Authorization": f"Bearer {gateway.key}"}
    async with gateway.http.post(gateway.url + CHAT, data=b'{"model":', headers=headers) as answer:
        assert answer.status == 400
        assert "not valid JSON" in (await answer.json())["error"]["message"]


async def test_too_many_choices_are_400(gateway: Gateway) -> None:
    service = gateway.service()
    status, answer = await gateway.ask(service, n=129)
    assert (status, answer["error"]["param"]) == (400, "n")


async def test_a_body_over_the_limit_is_413(start_gateway: StartGateway) -> None:
    async with start_gateway(body_limit_bytes=1000) as gateway:
        service = gateway.service()
        await gateway.engine(service, echo)
        status, answer = await gateway.ask(service, user="x" * 2000)
        assert (status, answer["error"]["code"]) == (413, "request_too_large")
        assert "the limit is 1,000" in answer["error"]["message"]
        headers = {"Authorization": f"Bearer {gateway.key}"}

        async def pieces() -> object:
            for _ in range(20):
                yield b"x" * 100

        async with gateway.http.post(
            gateway.url + CHAT, data=pieces(), headers=headers
        ) as response:
            assert response.status == 413
            assert "more than 1,000 bytes" in (await response.json())["error"]["message"]
        assert (await gateway.ask(service))[0] == 200


async def test_a_body_of_megabytes_passes(gateway: Gateway) -> None:
    service = gateway.service()
    engine = await gateway.engine(service, echo)
    body = json.dumps({"model": service.access_name, "user": "x" * 3_000_000}).encode()
    headers = {"Authorization": f"Bearer {gateway.key}"}
    async with gateway.http.post(
        gateway.url + CHAT, data=io.BytesIO(body), headers=headers
    ) as response:
        assert response.status == 200
    assert engine.bodies == [body]


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (ServiceStatus.DEPLOYING, "loading tensors", "loading tensors"),
        (ServiceStatus.STOPPED, None, "is stopped"),
        (ServiceStatus.FAILED, "not enough memory", "not enough memory"),
    ],
)
async def test_a_service_without_a_ready_instance_is_503(
    gateway: Gateway, status: ServiceStatus, reason: str | None, words: str
) -> None:
    service = gateway.service(status=status, reason=reason)
    async with gateway.post(service) as response:
        assert response.status == 503
        answer = await response.json()
        assert words in answer["error"]["message"]
        assert answer["error"]["code"] == "service_unavailable"
        if status is ServiceStatus.DEPLOYING:
            assert response.headers["retry-after"] == "5"
        else:
            assert "hydra-box start demo" in answer["hint"]


async def test_a_stopping_daemon_takes_nothing_new(gateway: Gateway) -> None:
    gateway.relay.stop_accepting()
    async with gateway.post("x") as response:
        assert response.status == 503
        assert response.headers["retry-after"] == "5"
