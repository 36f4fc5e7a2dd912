from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hydra_box import connection_faults
from hydra_box.client import Client
from hydra_box.errors import (
    BY_CODE,
    DaemonUnreachable,
    EngineError,
    HydraError,
    InvalidRequest,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from hydra_box.types import ErrorBody, ErrorDetail


@contextmanager
def serving(answer: bytes) -> Iterator[str]:
    """A server that reads one request and sends these bytes, whatever was asked; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += peer.recv(65_536)
                peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(30)


def http(status: str, body: str, *headers: str) -> bytes:
    head = (f"HTTP/1.1 {status}", "Connection: close", *headers)
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


def test_a_socket_where_nobody_listens(home: Path) -> None:
    with (
        Client.connect(url=None, api_key=None, environ={"HYDRA_BOX_HOME": str(home)}) as client,
        pytest.raises(DaemonUnreachable) as caught,
    ):
        client.status()
    assert caught.value.message.startswith(f"no daemon answers at {home}/run/daemon.sock")
    assert caught.value.hint == "start one with: hydra-box serve"
    assert caught.value.exit_code == 8


def test_a_socket_of_another_user() -> None:
    error = connection_faults.no_daemon("daemon.sock", PermissionError(13, "Permission denied"))
    assert error.message == "daemon.sock belongs to another user"
    assert "--api-key" in (error.hint or "")


def test_a_url_where_nobody_listens() -> None:
    # Taken, so that nobody else listens there.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with (
            Client.connect(url=url, api_key="hb-x", environ={}) as client,
            pytest.raises(DaemonUnreachable, match=url),
        ):
            next(client.events())


def test_a_url_wins_over_the_socket(home: Path) -> None:
    body = '{"error": {"message": "m", "type": "t", "code": "not_found"}}'
    environ = {"HYDRA_BOX_HOME": str(home)}
    with (
        serving(http("404 Not Found", body)) as url,
        Client.connect(url=url, api_key=None, environ=environ) as client,
        pytest.raises(NotFound),
    ):
        client.status()


@pytest.mark.parametrize("url", ["box:4937", "ftp://box", "", "http://[::1"])
def test_what_is_not_a_url(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Client(url=url)
    assert caught.value.param == "url"


@pytest.mark.parametrize("key", ["hb-\n", "hb-é"])
def test_what_cannot_be_a_key(key: str) -> None:
    with pytest.raises(Unauthenticated):
        Client(url="http://127.0.0.1:1", api_key=key)


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_an_error_comes_back_as_the_class_it_was(code: str) -> None:
    detail = ErrorDetail(message="the fact", type="t", code=code, param="name")
    error = connection_faults.error_of(ErrorBody(error=detail, hint="the hint"), 7)
    assert type(error) is BY_CODE[code]
    assert (error.message, error.hint, error.param) == ("the fact", "the hint", "name")
    assert error.retry_after_seconds == 7


def test_retry_after_is_read() -> None:
    body = '{"error": {"message": "full", "type": "t", "code": "service_unavailable"}}'
    with (
        serving(http("503 Service Unavailable", body, "Retry-After: 5")) as url,
        Client(url=url) as client,
        pytest.raises(Unavailable) as caught,
    ):
        client.status()
    assert caught.value.retry_after_seconds == 5


UNAUTHENTICATED = (
    '{"error": {"message": "no API key: the Authorization header is missing", '
    '"type": "t", "code": "invalid_api_key"}, "hint": "send the header"}'
)


def test_who_gave_no_key_is_told_how_a_person_gives_one() -> None:
    with (
        serving(http("401 Unauthorized", UNAUTHENTICATED)) as url,
        Client(url=url) as client,
        pytest.raises(Unauthenticated) as caught,
    ):
        client.status()
    assert caught.value.message == f"{url} asks for an admin key, and none was given"
    assert (caught.value.hint or "").startswith("set HYDRA_BOX_API_KEY, or give --api-key KEY; ")


def test_who_gave_a_wrong_key_is_told_what_the_box_says() -> None:
    with (
        serving(http("401 Unauthorized", UNAUTHENTICATED)) as url,
        Client(url=url, api_key="hb-wrong") as client,
        pytest.raises(Unauthenticated, match=r"^no API key: ") as caught,
    ):
        client.status()
    assert caught.value.hint == "send the header"


@pytest.mark.parametrize(
    ("answer", "fact"),
    [
        (http("200 OK", "<html>"), "the answer to GET /api/v1/status is wrong"),
        (http("200 OK", '{"version": 3}'), "Expected `str`, got `int`"),
        (http("200 OK", ""), "Expected `object`, got `null`"),
        (http("404 Not Found", "<h1>nginx</h1>"), "status 404: '<h1>nginx</h1>'"),
        (http("302 Found", "", "Location: /login"), "status 302"),
        (http("500 Oops", '{"detail": "x"}'), "status 500"),
    ],
)
def test_a_stranger_at_the_address_is_told_apart(answer: bytes, fact: str) -> None:
    with serving(answer) as url, Client(url=url) as client:
        with pytest.raises(HydraError) as caught:
            client.status()
        assert caught.value.message.startswith(f"what answers at {url} is no Hydra Box")
    assert fact in caught.value.message
    assert type(caught.value) is HydraError


def test_what_is_not_http_is_a_broken_connection() -> None:
    with (
        serving(b"SSH-2.0-OpenSSH_9.9\r\n") as url,
        Client(url=url) as client,
        pytest.raises(DaemonUnreachable, match=r"broke during GET /api/v1/status"),
    ):
        client.status()


def test_a_stream_that_breaks_off_is_not_a_stream_that_ends() -> None:
    answer = http("200 OK", "5\r\nline\n\r\n", "Transfer-Encoding: chunked")
    with serving(answer) as url, Client(url=url) as client:
        lines = client.logs("x")
        assert next(lines) == "line\n"
        with pytest.raises(DaemonUnreachable, match="broke during"):
            next(lines)


def test_silence_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hydra_box.client.box.EVENTS_SILENCE_SECONDS", 0.05)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Client(url=f"http://127.0.0.1:{listener.getsockname()[1]}") as client,
        pytest.raises(HydraError, match="did not answer GET /api/v1/events in time"),
    ):
        next(client.events())


def test_lines_end_at_newlines_and_nowhere_else() -> None:
    with serving(http("200 OK", "a\u2028b\x0bc\nlast")) as url, Client(url=url) as client:
        assert list(client.logs("x")) == ["a\u2028b\x0bc\n", "last\n"]


def test_an_error_in_the_middle_of_a_chat_is_raised() -> None:
    body = (
        'data: {"choices": []}\n\n'
        'data: {"error": {"message": "lost", "type": "server_error", "code": "engine_error"}}\n\n'
    )
    with serving(http("200 OK", body)) as url, Client(url=url) as client:
        chunks = client.chat({"model": "m"})
        assert next(chunks) == {"choices": []}
        with pytest.raises(EngineError, match="lost"):
            next(chunks)
