"""The way to an upstream: what travels there and back, and what is another one's chance."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from hydra_box.gateway.channel import InstanceLost
from hydra_box.gateway.remote import Target
from hydra_box.plan.upstream_health import Trouble, TroubleKind
from hydra_box.types import Outcome
from tests.gateway.asking import noted
from tests.gateway.fake_upstream import KEY, MODEL, fake_upstream, upstream, way_to
from tests.gateway.harness import DONE, Gateway, begin_stream, cut, until

K = TroubleKind

ANSWER = {"id": "1", "model": MODEL, "choices": [{"message": {"content": f'"model":"{MODEL}"'}}]}


async def whole(request: web.Request) -> web.StreamResponse:
    return web.json_response(ANSWER, headers={"X-Secret": "theirs", "Set-Cookie": "a=b"})


def frame(text: str) -> bytes:
    chunk = {"model": MODEL, "choices": [{"delta": {"content": text}}]}
    return b"data: %b\n\n" % json.dumps(chunk).encode()


async def stream(request: web.Request) -> web.StreamResponse:
    response = await begin_stream(request)
    for text in ("one", "two"):
        await response.write(frame(text))
    await response.write(DONE)
    return response


def saying(status: int, body: object = None, **headers: str) -> Any:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(body or {}, status=status, headers=headers)

    return answer


async def test_only_the_body_travels_and_only_the_name_changes(gateway: Gateway) -> None:
    service = gateway.service(public=True)
    fake, way = await upstream(gateway, service, whole)
    body = (
        b'{"model":"other", "temperature" : 1.50,"messages":[{"role":"user","content":"\\u00e9 '
        + f"{service.access_name}".encode()
        + b'"}],"model":"'
        + service.access_name.encode()
        + b'"}'
    )
    headers = {
        "Authorization": f"Bearer {gateway.key}",
        "Cookie": "session=1",
        "X-Forwarded-For": "10.1.1.1",
        "User-Agent": "client/1",
    }
    url = f"{gateway.url}/v1/chat/completions"
    async with gateway.http.post(url, data=body, headers=headers) as response:
        assert response.status == 200
        assert not {"X-Secret", "Set-Cookie"} & set(response.headers)
        answer = await response.json()
    assert answer["model"] == service.access_name
    assert answer["choices"] == ANSWER["choices"]
    assert fake.paths == ["/v1/chat/completions"]
    (sent,) = fake.bodies
    assert json.loads(sent)["model"] == MODEL
    assert sent.count(b'"model"') == 1
    assert b"1.50" in sent
    assert b'\\u00e9 public/demo"' in sent
    host = fake.url.removeprefix("http://").removesuffix("/v1")
    assert fake.headers == [
        {
            "Host": host,
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "Accept-Encoding": "identity",
            "Authorization": f"Bearer {KEY}",
            "Content-Length": str(len(sent)),
        }
    ]
    assert way.told == [None]


@pytest.mark.parametrize("path", ["completions", "embeddings"])
async def test_every_call_passes_through(gateway: Gateway, path: str) -> None:
    service = gateway.service(public=True)
    fake, _ = await upstream(gateway, service, whole)
    status, answer = await gateway.ask(service, f"/{path}", prompt="a", input="a")
    assert (status, answer["model"]) == (200, service.access_name)
    assert fake.paths == [f"/v1/{path}"]


async def test_a_stream_has_our_name(gateway: Gateway) -> None:
    service = gateway.service(public=True)
    await upstream(gateway, service, stream)
    async with gateway.post(service, stream=True) as response:
        text = await response.text()
    assert text.count(f'"model": "{service.access_name}"') == 2
    assert MODEL not in text
    assert text.endswith("data: [DONE]\n\n")


async def test_an_upstream_that_counts_in_every_event_is_believed_at_the_end(
    gateway: Gateway,
) -> None:
    """A client may ask some of them for that; it must not be charged for the first token alone."""
    service = gateway.service(public=True)

    async def counts(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        for tokens in range(1, 40):
            usage = {"prompt_tokens": 9, "completion_tokens": tokens}
            event = {"choices": [{"index": 0, "delta": {"content": "a"}}], "usage": usage}
            await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")
            await asyncio.sleep(0)
        await response.write(DONE)
        return response

    await upstream(gateway, service, counts)
    async with gateway.post(service, stream=True) as response:
        assert (await response.read()).count(b'"usage"') == 39
    one = await noted(gateway, 1)
    assert (one.outcome, one.estimated) == (Outcome.OK, False)
    assert (one.prompt_tokens, one.completion_tokens) == (9, 39)


async def test_connections_are_kept_and_one_that_is_gone_is_made_anew(gateway: Gateway) -> None:
    service = gateway.service(public=True)
    leave = False

    async def answer(request: web.Request) -> web.StreamResponse:
        if leave and len(fake.peers) == 3:
            # As a server does that closes an idle connection while a request is on its way.
            cut(request)
        return await whole(request)

    fake, way = await upstream(gateway, service, answer)
    for _ in range(2):
        assert (await gateway.ask(service))[0] == 200
    assert len(set(fake.peers)) == 1
    leave = True
    assert (await gateway.ask(service))[0] == 200
    assert len(set(fake.peers)) == 2
    assert way.told == [None] * 3


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (saying(500), K.BROKEN, "500"),
        (saying(503), K.BROKEN, "503"),
        (saying(408), K.BROKEN, "408"),
        (saying(429, **{"Retry-After": "7"}), K.BUSY, "at its limit"),
        (saying(401), K.REFUSED, "refuses the key"),
        (saying(403), K.BROKEN, "refuses the key, or the requests"),
        (saying(402), K.REFUSED, "no credit"),
        (saying(404, {"error": {"message": "The model x does not exist"}}), K.REFUSED, "no such"),
        (saying(404, {"error": {"message": "no such page"}}), K.BROKEN, "nothing at its address"),
        (saying(302, Location="http://127.0.0.1:9/v1"), K.REFUSED, "redirect"),
    ],
)
async def test_what_another_one_may_do_better_goes_there(
    gateway: Gateway, answer: Any, kind: TroubleKind, words: str
) -> None:
    service = gateway.service(public=True)
    _, bad = await upstream(gateway, service, answer, name="up-1")
    _, good = await upstream(gateway, service, whole, name="up-2")
    assert (await gateway.ask(service))[0] == 200
    (trouble,) = bad.told
    assert trouble is not None
    assert trouble.kind is kind
    assert words in trouble.reason
    assert trouble.wait_seconds == (7.0 if kind is K.BUSY else None)
    assert good.told == [None]


async def page(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>please log in</html>", content_type="text/html")


async def test_a_page_is_no_answer(gateway: Gateway) -> None:
    service = gateway.service(public=True)
    _, bad = await upstream(gateway, service, page, name="up-1")
    await upstream(gateway, service, whole, name="up-2")
    assert (await gateway.ask(service))[0] == 200
    assert bad.told[0] is not None
    assert bad.told[0].kind is K.REFUSED


@pytest.mark.parametrize(
    "answer",
    [
        saying(404, {"error": {"message": "The model does not support embeddings"}}),
        saying(307, Location="/login"),
        page,
    ],
)
async def test_to_ask_for_what_it_does_not_have_takes_it_from_nobody(
    gateway: Gateway, answer: Any
) -> None:
    service = gateway.service(public=True)
    _, way = await upstream(gateway, service, answer)
    status, told = await gateway.ask(service, "/v1/embeddings", input="a")
    assert (status, told["error"]["code"]) == (404, "not_found")
    assert way.told == []


async def test_a_redirect_is_followed_nowhere(gateway: Gateway) -> None:
    async with fake_upstream(whole) as inner:
        service = gateway.service(public=True)
        redirect = saying(307, Location=f"{inner.url}/chat/completions")
        await upstream(gateway, service, redirect, name="up-1")
        await upstream(gateway, service, whole, name="up-2")
        assert (await gateway.ask(service))[0] == 200
        assert inner.paths == []


@pytest.mark.parametrize(
    ("status", "message", "expected", "code"),
    [
        (400, "temperature must be a number", 400, "invalid_request"),
        (422, "n: is wrong", 400, "invalid_request"),
        (413, "too large", 413, "request_too_large"),
        (
            400,
            "This model's maximum context length is 100 tokens; the prompt has 120 tokens",
            400,
            "context_length_exceeded",
        ),
    ],
)
async def test_what_is_about_the_request_is_answered_as_ours(
    gateway: Gateway, status: int, message: str, expected: int, code: str
) -> None:
    service = gateway.service(public=True)
    text = f"{message}; the key {KEY} of {MODEL}"
    body = {"error": {"message": text, "param": "x", "code": None, "type": "t"}}
    fake, way = await upstream(gateway, service, saying(status, body, **{"X-Secret": "theirs"}))
    async with gateway.post(service) as response:
        answer = await response.json()
        assert "X-Secret" not in response.headers
    assert response.status == expected
    assert answer["error"]["code"] == code
    assert KEY not in answer["error"]["message"]
    assert MODEL not in answer["error"]["message"]
    assert len(fake.paths) == 1
    assert way.told == [None]


async def test_an_answer_may_be_compressed_although_nobody_asked(gateway: Gateway) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        data = gzip.compress(json.dumps(ANSWER).encode())
        return web.Response(
            body=data, content_type="application/json", headers={"Content-Encoding": "gzip"}
        )

    service = gateway.service(public=True)
    await upstream(gateway, service, answer)
    async with gateway.post(service) as response:
        assert "Content-Encoding" not in response.headers
        assert (await response.json())["model"] == service.access_name


async def test_a_stream_that_breaks_before_its_first_byte_goes_elsewhere(gateway: Gateway) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        cut(request)
        return response

    service = gateway.service(public=True)
    _, bad = await upstream(gateway, service, answer, name="up-1")
    await upstream(gateway, service, stream, name="up-2")
    async with gateway.post(service, stream=True) as response:
        text = await response.text()
    assert text.endswith("data: [DONE]\n\n")
    assert [one and one.kind for one in bad.told] == [None, K.BROKEN]


async def test_a_stream_that_breaks_after_it_ends_with_an_error(gateway: Gateway) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        await response.write(frame("one"))
        await until(lambda: seen, "the client has the first event")
        cut(request)
        return response

    seen: list[bytes] = []
    service = gateway.service(public=True)
    _, bad = await upstream(gateway, service, answer, name="up-1")
    good, _ = await upstream(gateway, service, stream, name="up-2")
    async with gateway.post(service, stream=True) as response:
        seen.append(await response.content.readuntil(b"\n\n"))
        rest = await response.text()
    assert "lost after the answer had begun" in rest
    assert good.paths == []
    assert [one and one.kind for one in bad.told] == [None, K.BROKEN]


async def test_one_that_never_answers_is_given_up(gateway: Gateway) -> None:
    async def hang(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    service = gateway.service(public=True)
    fake, way = await upstream(gateway, service, hang, name="up-1")
    await upstream(gateway, service, whole, name="up-2")
    asking = asyncio.create_task(gateway.ask(service))
    await until(lambda: fake.peers, "the request is there")
    way.channel.give_up()
    assert (await asking)[0] == 200
    await until(lambda: fake.cut_off, "its connection is closed")


async def test_a_client_that_leaves_ends_the_work(gateway: Gateway) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        while True:
            await response.write(frame("again"))
            await asyncio.sleep(0.01)

    service = gateway.service(public=True)
    fake, _ = await upstream(gateway, service, endless)
    async with gateway.post(service, stream=True) as response:
        await response.content.readuntil(b"\n\n")
    await until(lambda: fake.cut_off, "the upstream notices")
    await until(lambda: gateway.nothing_left(service), "the slot is given back")


PRIVATE = "its name leads to a private address; hint: "


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("localhost", PRIVATE),
        ("127.0.0.1", PRIVATE),
        ("[::1]", PRIVATE),
        ("[::ffff:127.0.0.1]", PRIVATE),
        ("127.1", "its connection broke"),
        ("2130706433", "its connection broke"),
    ],
)
async def test_a_name_that_leads_here_is_not_connected_to(host: str, reason: str) -> None:
    async with fake_upstream(whole) as fake:
        url = fake.url.replace("127.0.0.1", host)
        way = way_to(url, "public/demo", allows_private=False)
        with pytest.raises(InstanceLost):
            await way.channel.post("/v1/chat/completions", b'{"model":"public/demo"}')
        probed = await way.channel.probe()
        await way.channel.close()
        assert fake.paths == []
    (told,) = way.told
    assert told is not None
    assert told.reason.startswith(reason)
    assert probed == told


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with fake_upstream(whole) as fake:
        way = way_to(fake.url, "public/demo")
        assert await way.channel.probe() is None
        await way.channel.close()
        assert fake.paths == ["/v1/models"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, None),
        (404, None),
        (405, None),
        (403, None),
        (429, None),
        (401, K.REFUSED),
        (301, K.REFUSED),
        (500, K.BROKEN),
    ],
)
async def test_probes(status: int, kind: TroubleKind | None) -> None:
    async with fake_upstream(saying(status, {"data": []})) as fake:
        way = way_to(fake.url, "public/demo")
        trouble = await way.channel.probe()
        await way.channel.close()
    assert (trouble and trouble.kind) == kind
    # Who asked for a probe is who does something about it.
    assert way.told == []


@pytest.mark.parametrize(
    ("models", "tokens"),
    [
        ([{"id": "other", "max_model_len": 1}, {"id": MODEL, "max_model_len": 4096}], 4096),
        ([{"id": MODEL, "context_length": 8192}], 8192),
        ([{"id": "any.gguf", "meta": {"n_ctx_train": 32768}}], 32768),
        ([{"id": MODEL, "object": "model"}], None),
        ([{"id": "other", "max_model_len": 1}, {"id": "others", "max_model_len": 2}], None),
        ([{"id": MODEL, "max_model_len": "many"}], None),
        ([{"id": MODEL, "max_model_len": -1}], None),
        ([7, {"id": MODEL, "max_model_len": 512}], 512),
        ({"not": "a list"}, None),
    ],
)
async def test_it_tells_how_long_its_context_is(models: object, tokens: int | None) -> None:
    async with fake_upstream(saying(200, {"data": models})) as fake:
        way = way_to(fake.url, "public/demo")
        assert await way.channel.probe() is None
        await way.channel.close()
    assert way.channel.context_length == tokens


async def test_a_list_of_models_that_breaks_off_says_nothing_of_its_health() -> None:
    async def breaks(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"data":[')
        cut(request)
        return response

    async with fake_upstream(breaks) as fake:
        way = way_to(fake.url, "public/demo")
        assert await way.channel.probe() is None
        await way.channel.close()
    assert way.channel.context_length is None


async def test_a_service_of_upstreams_lists_the_context_that_all_of_them_take(
    gateway: Gateway,
) -> None:
    service = gateway.service(public=True)
    endpoint = gateway.pool.find(service.access_name)
    assert endpoint is not None
    endpoint.service = msgspec.structs.replace(service, context_length=0)
    path = f"/v1/models/{service.access_name}"
    assert "context_length" not in (await gateway.get(path))[1]
    for number, tokens in enumerate((8192, 4096, None)):
        models = [{"id": MODEL, "max_model_len": tokens}]
        answer = saying(200, {"data": models})
        _, way = await upstream(gateway, service, answer, name=f"up-{number}")
        await way.channel.probe()
    assert (await gateway.get(path))[1]["context_length"] == 4096


async def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    # A resolver whose servers do not answer takes longer than a probe may.
    monkeypatch.setattr("hydra_box.gateway.remote.PROBE_TIMEOUT_SECONDS", 120.0)
    async with fake_upstream(whole) as fake:
        url = fake.url
    way = way_to(url, "public/demo")
    with pytest.raises(InstanceLost):
        await way.channel.post("/v1/chat/completions", b'{"model":"public/demo"}')
    way.channel.point_at(Target(base_url="http://nowhere.invalid/v1", model=MODEL, key=None))
    unresolved = await way.channel.probe()
    await way.channel.close()
    reason = "it cannot be reached: Connection refused"
    assert way.told == [Trouble(kind=K.UNREACHABLE, reason=reason)]
    assert unresolved is not None
    assert unresolved.reason == "its name cannot be resolved"


@pytest.fixture
def own_certificate(tmp_path: Path) -> ssl.SSLContext:
    """One that nobody has signed."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1")
    subprocess.run((*command, "-keyout", key, "-out", certificate), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_certificate_is_verified(own_certificate: ssl.SSLContext) -> None:
    async with fake_upstream(whole, tls=own_certificate) as fake:
        way = way_to(fake.url, "public/demo")
        trouble = await way.channel.probe()
        await way.channel.close()
        assert fake.paths == []
    assert trouble is not None
    assert trouble.reason == "its certificate is not valid: self-signed certificate"


async def test_instances_here_come_first(gateway: Gateway) -> None:
    service = gateway.service(public=True)
    fake, _ = await upstream(gateway, service, whole)
    release = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.json_response({"model": service.access_name, "choices": []})

    here = await gateway.engine(service, slow, slots=1)
    first = asyncio.create_task(gateway.ask(service))
    await until(lambda: here.bodies, "the instance has it")
    assert fake.paths == []
    assert (await gateway.ask(service))[0] == 200
    assert len(fake.paths) == 1
    release.set()
    assert (await first)[0] == 200


async def test_shares_follow_the_weights(gateway: Gateway) -> None:
    service = gateway.service(public=True)
    heavy, _ = await upstream(gateway, service, whole, name="up-1", weight=3.0)
    light, _ = await upstream(gateway, service, whole, name="up-2", weight=1.0)
    for _ in range(20):
        await gateway.ask(service)
    assert (len(heavy.paths), len(light.paths)) == (15, 5)
    # One that was away is not given everything that it missed.
    gateway.pool.rest_instance("up-2", resting=True)
    for _ in range(20):
        await gateway.ask(service)
    gateway.pool.rest_instance("up-2", resting=False)
    for _ in range(20):
        await gateway.ask(service)
    assert (len(heavy.paths), len(light.paths)) == (50, 10)
    gateway.pool.tune_instance("up-2", slots=16, weight=3.0)
    for _ in range(20):
        await gateway.ask(service)
    assert (len(heavy.paths), len(light.paths)) == (60, 20)
