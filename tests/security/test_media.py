"""Media in requests: no engine ever follows an address, and the box only to public ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from hydra_box.config import Settings
from hydra_box.errors import InvalidRequest, Unavailable
from hydra_box.gateway.bodies import Bodies, HeldBody
from hydra_box.gateway.media import check_media
from hydra_box.gateway.media_fetch import MediaFetcher
from hydra_box.gateway.request import parse

PIXELS = b"\x89PNG pixels"
DATA = f"data:image/png;base64,{base64.b64encode(PIXELS).decode()}"


def asks(*parts: dict[str, Any], **members: Any) -> bytes:
    message = {"role": "user", "content": [{"type": "text", "text": "look"}, *parts]}
    return json.dumps({"model": "m", "messages": [message], **members}).encode()


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_media_in_the_request_itself_is_passed_on() -> None:
    sent = asks(image(DATA), {"type": "input_audio", "input_audio": {"data": "UklG"}})
    assert parse(sent).has_media
    assert check_media(sent, Settings()).remote == []


PARTS = [
    image,
    lambda url: {"type": "image_url", "image_url": url},
    lambda url: {"image_url": url},
    lambda url: {"type": "input_image", "image_url": url},
    lambda url: {"type": "video_url", "video_url": {"url": url}},
    lambda url: {"type": "audio_url", "audio_url": {"url": url}},
    lambda url: {"type": "input_audio", "input_audio": {"data": url}},
    lambda url: {"type": "file", "file": {"file_data": url}},
    lambda url: {"type": "image_url", "uuid": "x", "image_url": {"url": url}},
]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "HTTPS://example.com/a.png",
        " https://example.com/a.png",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "gopher://127.0.0.1:6379/_x",
        "unix:/run/x.sock",
    ],
)
def test_an_address_is_refused_wherever_it_stands(part: Any, url: str) -> None:
    sent = asks(part(url))
    assert parse(sent).has_media
    with pytest.raises(InvalidRequest) as caught:
        check_media(sent, Settings())
    assert caught.value.param == "messages"
    assert url in caught.value.message
    assert "data:" in (caught.value.hint or "")


def test_a_file_is_refused_whatever_the_settings() -> None:
    for url in ("file:///etc/passwd", "/etc/passwd:file", "gopher://x"):
        allowed = Settings(remote_media=True)
        if url.startswith("/"):
            # No scheme: what it is itself, in base64, for every engine.
            assert check_media(asks(image(url)), allowed).remote == []
            continue
        with pytest.raises(InvalidRequest, match="are refused"):
            check_media(asks(image(url)), allowed)


def test_an_address_in_a_prompt_an_input_or_an_escaped_key_is_found() -> None:
    remote = {"multimodal_data": ["http://10.0.0.1/x"]}
    hidden = rb'{"model":"m","messages":[{"im\u0061ge_url":"http://10.0.0.1/x"}]}'
    for sent in (
        json.dumps({"model": "m", "prompt": {"prompt_string": "a", **remote}}).encode(),
        json.dumps({"model": "m", "input": [{"image_url": "http://10.0.0.1/x"}]}).encode(),
        hidden,
    ):
        assert parse(sent).has_media
        with pytest.raises(InvalidRequest, match="media of the web are refused"):
            check_media(sent, Settings())


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_embeds", "image_embeds": "gASV"},
        {"type": "audio_embeds", "audio_embeds": "gASV"},
        {"type": "prompt_embeds", "data": "gASV"},
        {"image_embeds": {"a": "gASV"}},
        {"type": "image_pil", "image_pil": "x"},
    ],
)
def test_tensors_are_refused(part: dict[str, Any]) -> None:
    sent = asks(part)
    assert parse(sent).has_media
    with pytest.raises(InvalidRequest, match="tensors that the engine would load unchecked"):
        check_media(sent, Settings())


def test_there_are_limits_on_number_and_size() -> None:
    few = Settings(media_limit=2, media_limit_bytes=3000)
    check_media(asks(image(DATA), image(DATA)), few)
    with pytest.raises(InvalidRequest, match="has 3 images, sounds or films; the limit is 2"):
        check_media(asks(image(DATA), image(DATA), image(DATA)), few)
    with pytest.raises(InvalidRequest, match=r"about 3,0\d\d bytes; the limit is 3,000"):
        check_media(asks(image("data:image/png;base64," + "A" * 4000)), few)


def test_a_text_that_speaks_of_media_has_none() -> None:
    sent = asks({"type": "text", "text": '{"image_url": "http://10.0.0.1/x"}'})
    assert not parse(sent).has_media


# --- where the owner allows media of the web ---------------------------------


@pytest.fixture
async def web_page() -> Any:
    """A server on loopback; its address, and what it answers at which path."""
    requests: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        requests.append(request.path)
        match request.path:
            case "/a.png":
                return web.Response(body=PIXELS, content_type="image/png")
            case "/large.png":
                return web.Response(body=b"x" * 10_000, content_type="image/png")
            case "/wide.png":
                return web.Response(body=b"x" * 100_000, content_type="image/png")
            case "/page":
                return web.Response(text="<html>", content_type="text/html")
            case "/away":
                raise web.HTTPFound("/a.png")
            case _:
                raise web.HTTPNotFound

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", requests
    await runner.cleanup()


async def fetched(
    fetcher: MediaFetcher, *urls: str, grown: Callable[[int], None] = lambda _: None
) -> dict[str, Any]:
    sent = asks(*(image(url) for url in urls), temperature=1.50)
    media = check_media(sent, Settings(remote_media=True))
    found: dict[str, Any] = json.loads(await fetcher.put_in(sent, media, grown))
    return found


async def test_what_the_box_fetched_takes_the_place_of_its_address(web_page: Any) -> None:
    url, requests = web_page
    near = MediaFetcher(5000, allows_private=True)
    got = await fetched(near, f"{url}/a.png", DATA, f"{url}/away")
    _, *parts = got["messages"][0]["content"]
    assert [part["image_url"]["url"] for part in parts] == [DATA] * 3
    assert (got["model"], got["temperature"]) == ("m", 1.5)
    assert sorted(requests) == ["/a.png", "/a.png", "/away"]


async def test_what_is_fetched_counts_with_the_body(web_page: Any) -> None:
    url, requests = web_page
    near, bodies = MediaFetcher(200_000, allows_private=True), Bodies(300_000)
    with HeldBody(bodies) as others, HeldBody(bodies) as held:
        others.grow_to(100_000)
        with pytest.raises(Unavailable, match="together they may have 300,000"):
            await fetched(near, *[f"{url}/wide.png"] * 3, grown=held.grow_to)
    assert len(requests) == 2


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/large.png", "more than 5,000 bytes"),
        ("/page", "text/html, no image, sound or film"),
        ("/none", "status 404"),
    ],
)
async def test_what_cannot_be_had_is_told(web_page: Any, path: str, why: str) -> None:
    url, _ = web_page
    with pytest.raises(InvalidRequest, match=why) as caught:
        await fetched(MediaFetcher(5000, allows_private=True), url + path)
    assert caught.value.hint


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1", "[::ffff:127.0.0.1]"]
)
async def test_private_addresses_are_never_reached(web_page: Any, host: str) -> None:
    url, requests = web_page
    with pytest.raises(InvalidRequest, match="could not be fetched"):
        await fetched(MediaFetcher(5000), url.replace("127.0.0.1", host) + "/a.png")
    assert requests == []
