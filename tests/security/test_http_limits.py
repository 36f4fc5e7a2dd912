"""What one connection may take: size and time of heads and bodies, and how many there may be."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
import uvloop
from litestar.types import Receive, Scope, Send

from hydra_box.config import Settings
from hydra_box.http_protocol import TOLD_AT_ONCE
from hydra_box.http_server import http_server
from tests.security.raw import address_of, closed, connect, read_reply, request, send_raw
from tests.waiting import eventually

Address = tuple[str, int]
Served = Callable[..., Address]
Asked = Callable[..., socket.socket]


class Echo:
    """Answers with the length of what it was sent; notes who left before the end."""

    def __init__(self) -> None:
        self.left = 0
        self.hold = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size, more = 0, True
        while more:
            message: Any = await receive()
            if message["type"] == "http.disconnect":
                self.left += 1
                return
            size += len(message["body"])
            more = message["more_body"]
        if scope["path"] == "/hold":
            await self.hold.wait()
        body = str(size).encode()
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body, "more_body": False})


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def served(echo: Echo) -> Iterator[Served]:
    """``served(**settings)``: where a server with these limits answers."""
    with ExitStack() as stack:

        def start(**limits: Any) -> Address:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            stack.enter_context(running(echo, listener, Settings(**limits)))
            host, port = listener.getsockname()[:2]
            return str(host), int(port)

        yield start


@pytest.fixture
def asked(echo: Echo) -> Iterator[Asked]:
    """``asked(data, **settings)``: a connection on which a server finds that data at once.

    However slow the test is, it is not late: the server starts when the data is there.
    """
    with ExitStack() as stack:

        def start(data: bytes, **limits: Any) -> socket.socket:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            one = stack.enter_context(closing(connect(listener.getsockname())))
            one.sendall(data)
            stack.enter_context(running(echo, listener, Settings(**limits)))
            return one

        yield start


@contextlib.contextmanager
def running(
    echo: Echo, listener: socket.socket, limits: Settings, tls: ssl.SSLContext | None = None
) -> Iterator[None]:
    """The server in a thread, for as long as the block runs."""
    loop, up = uvloop.new_event_loop(), threading.Event()
    end = asyncio.Event()

    async def serve() -> None:
        async with http_server(echo, listener, limits, tls):
            up.set()
            await end.wait()
            echo.hold.set()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    assert up.wait(30)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(30)
        assert not thread.is_alive()


def test_a_request_within_the_limits_is_answered(served: Served) -> None:
    reply = send_raw(served(), request("/", method="POST", body=b"x" * 1000))
    assert (reply.status, reply.body) == (200, b"1000")


def test_a_request_in_one_piece_is_no_long_head(served: Served) -> None:
    address = served(header_limit_bytes=1000, url_limit_bytes=100)
    with closing(connect(address)) as one:
        for _ in range(3):
            one.sendall(request("/", method="POST", body=b"x" * 20_000))
            assert read_reply(one).body == b"20000"


def test_a_stray_line_end_keeps_no_connection_open(asked: Asked) -> None:
    one = asked(request("/"), head_timeout_seconds=1)
    assert read_reply(one).status == 200
    one.sendall(b"\r\n")
    assert closed(one)


def test_several_requests_on_one_connection(served: Served) -> None:
    with closing(connect(served(head_timeout_seconds=10, body_timeout_seconds=10))) as one:
        for size in (1, 50_000, 200_000, 3):
            one.sendall(request("/", method="POST", body=b"x" * size))
            assert read_reply(one).body == str(size).encode()
        one.sendall(request("/first") + request("/second"))
        assert read_reply(one).status == 200


@pytest.mark.parametrize(
    ("limits", "sent", "status", "fact"),
    [
        ({"header_limit": 5}, request("/", *["X-A: 1"] * 5), 431, "6 headers; the limit is 5"),
        (
            {"header_limit_bytes": 1000},
            request("/", f"X-Large: {'x' * 1000}"),
            431,
            "more than 1,000 bytes",
        ),
        (
            {"header_limit_bytes": 1000, "url_limit_bytes": 100},
            b"GET / HTTP/1.1\r\nX-Endless: " + b"x" * 5000,
            431,
            "more than 1,000 bytes",
        ),
        ({"url_limit_bytes": 100}, request(f"/{'x' * 200}"), 414, "more than 100 bytes"),
    ],
)
def test_a_head_over_a_limit_is_refused(
    served: Served, limits: dict[str, int], sent: bytes, status: int, fact: str
) -> None:
    reply = send_raw(served(**limits), sent)
    assert reply.status == status
    assert fact in reply.error
    assert reply.headers["connection"] == "close"


@pytest.mark.parametrize(
    "sent",
    [
        request("/", "Content-Length: 3", "Content-Length: 4", method="POST", body=b"abcd"),
        request("/", "Content-Length: 3", "Content-Length: 3", method="POST", body=b"abc"),
        request(
            "/", "Content-Length: 3", "Transfer-Encoding: chunked", method="POST", body=b"0\r\n\r\n"
        ),
        request("/", "Transfer-Encoding: chunked", "Transfer-Encoding: identity", method="POST"),
        request("/", "Transfer-Encoding: gzip", method="POST"),
        request("/", "Content-Length: +3", method="POST", body=b"abc"),
        request("/", "Content-Length: 0x3", method="POST", body=b"abc"),
        request("/", "Host: evil.example"),
        request("/", "Authorization: Bearer a", "Authorization: Bearer b"),
        request("/", "X-Folded: a\r\n b"),
        request("/", "X-Space : a"),
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"NONSENSE\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_two_programs_may_read_in_two_ways_is_refused(served: Served, sent: bytes) -> None:
    with closing(connect(served())) as one:
        one.sendall(sent)
        reply = read_reply(one)
        assert reply.status == 400
        assert reply.error
        assert closed(one)


def test_a_second_request_hidden_in_a_body_is_a_body(served: Served) -> None:
    hidden = request("/hidden")
    with closing(connect(served())) as one:
        one.sendall(request("/", method="POST", body=hidden))
        assert read_reply(one).body == str(len(hidden)).encode()


def test_a_head_that_comes_too_slowly_ends_its_connection(asked: Asked) -> None:
    one = asked(b"GET / HTTP/1.1\r\nHost: a\r\n", head_timeout_seconds=0.3)
    reply = read_reply(one)
    assert reply.status == 408
    assert "the headers of a request took more than 0.3 s" in reply.error
    assert closed(one)


def test_a_drop_now_and_then_does_not_stretch_the_time(served: Served) -> None:
    with closing(connect(served(head_timeout_seconds=0.5))) as one:
        one.sendall(b"GET / HTTP/1.1\r\n")

        def another_drop_is_refused() -> bool:
            try:
                one.sendall(b"X-Drop: 1\r\n")
            except OSError:
                return True
            return False

        eventually(another_drop_is_refused, what="the connection is closed")


def test_a_connection_that_says_nothing_is_closed(served: Served) -> None:
    with closing(connect(served(head_timeout_seconds=0.2))) as one:
        assert closed(one)


def test_an_idle_connection_is_closed(served: Served) -> None:
    with closing(connect(served(idle_timeout_seconds=1))) as one:
        one.sendall(request("/"))
        assert read_reply(one).status == 200
        assert closed(one)


def test_a_body_that_comes_too_slowly_ends_its_request(served: Served, echo: Echo) -> None:
    with closing(connect(served(body_timeout_seconds=0.3))) as one:
        one.sendall(request("/", "Content-Length: 100", method="POST", body=b"x"))
        reply = read_reply(one)
        assert reply.status == 408
        assert "the body of a request took more than 0.3 s" in reply.error
        assert closed(one)
    eventually(lambda: echo.left == 1, what="the application has learned of it")


def test_an_answer_may_take_longer_than_its_request(asked: Asked, echo: Echo) -> None:
    # Stray line ends between requests are no head that is late.
    sent = request("/hold") + b"\r\n"
    one = asked(sent, head_timeout_seconds=1, body_timeout_seconds=1, idle_timeout_seconds=1)
    with closing(connect(one.getpeername())) as other:
        assert closed(other)
    echo.hold._loop.call_soon_threadsafe(echo.hold.set)  # type: ignore[attr-defined]
    assert read_reply(one).status == 200


def test_connections_over_the_limit_are_told_so(served: Served) -> None:
    address = served(connection_limit=2)
    with ExitStack() as stack:
        two = [stack.enter_context(closing(connect(address))) for _ in range(2)]
        for one in two:
            one.sendall(request("/"))
            assert read_reply(one).status == 200
        reply = send_raw(address, request("/"))
        assert reply.status == 503
        assert "2 connections are open" in reply.error
        assert int(reply.headers["retry-after"]) > 0
    eventually(lambda: send_raw(address, request("/")).status == 200, what="there is room again")


def test_of_many_over_the_limit_some_are_closed_unheard(served: Served) -> None:
    address = served(connection_limit=1)
    with ExitStack() as stack:
        many = [stack.enter_context(closing(connect(address))) for _ in range(1 + TOLD_AT_ONCE + 3)]
        for one in many[-3:]:
            assert closed(one)
        many[0].sendall(request("/"))
        assert read_reply(many[0]).status == 200
        many[1].sendall(request("/"))
        assert read_reply(many[1]).status == 503


def test_the_address_of_a_url() -> None:
    assert address_of("https://127.0.0.1:4937") == ("127.0.0.1", 4937)
