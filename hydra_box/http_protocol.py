"""HTTP of clients that may be hostile: what uvicorn's protocol leaves without a limit.

1. A connection over the limit is told so and closed; of many at once some are closed unheard.
2. A head (request line and headers) has a time, a size and a number of headers; a body has a time.
3. A head that two programs may read in two ways is refused: a second ``Host``, ``Authorization``
   or ``Content-Length``, and both kinds of a body's length.

Every refusal is an ``ErrorBody``, and ends the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import Any, ClassVar, cast

import httptools
import msgspec
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from hydra_box.config import Settings
from hydra_box.errors import HydraError, InvalidRequest, Unavailable

RETRY_AFTER_SECONDS = 5

TOLD_AT_ONCE = 64
"""Connections over the limit that may stay to be told so: others would take descriptors unseen."""

_ONCE = (b"host", b"authorization", b"content-length", b"transfer-encoding", b"origin")
"""Headers of which a second one may mean another thing to whoever reads the last one."""


class Reads(Enum):
    """What of a request is coming in."""

    NOTHING = "nothing"
    HEAD = "head"
    BODY = "body"


class GuardedProtocol(HttpToolsProtocol):
    """One connection of a client, within limits."""

    @classmethod
    def within(cls, limits: Settings) -> type[GuardedProtocol]:
        """The protocol with these limits; uvicorn makes one for each connection."""
        return type(cls.__name__, (cls,), {"_limits": limits})

    _limits: ClassVar[Settings] = Settings()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._reads = Reads.NOTHING
        self._head_bytes = 0
        """Of a head that is not whole, as far as it has come."""
        self._timer: asyncio.TimerHandle | None = None
        self._refusal: tuple[int, HydraError] | None = None
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        super().connection_made(transport)  # type: ignore[arg-type]  # as uvicorn has it
        if room_for(self.connections, self._limits.connection_limit) < 0:
            self._closing = True
            self.transport.abort()
            return
        if len(self.connections) > self._limits.connection_limit:
            # Answered once it has asked: bytes that nobody reads would reset the connection, and
            # with it the answer.
            self._refusal = (503, _too_many(self._limits.connection_limit))
        self._start_timer(self._limits.head_timeout_seconds, self._is_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has left."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """More of what it sends."""
        self._unset_keepalive_if_required()
        if self._closing:
            return
        if self._refusal is not None:
            self._refuse()
            return
        before = self._reads
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing but HTTP/1.1 is spoken here: what asks for another protocol is answered in it.
            return
        except httptools.HttpParserError:
            self._refuse()
            return
        if self._reads is Reads.HEAD and before is not Reads.BODY:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.header_limit_bytes + self._limits.url_limit_bytes:
                self._refusal = (431, self._too_long())
                self._refuse()
                return
        self._watch()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._reads = Reads.HEAD
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        super().on_url(url)
        limit = self._limits.url_limit_bytes
        if len(self.url) > limit:
            raise self._refused(
                414,
                f"the address has more than {limit:,} bytes",
                "the setting url_limit_bytes raises the limit",
            )

    def on_headers_complete(self) -> None:
        """A head is whole: the request begins unless something is wrong with it."""
        self._stop_timer()
        self._check_head()
        self._reads = Reads.BODY
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._stop_timer()
        self._reads = Reads.NOTHING
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - it says less than ours
        """Refuse what is no HTTP."""
        self._refuse()

    # --- what is wrong with a head --------------------------------------------

    def _check_head(self) -> None:
        limits, headers = self._limits, self.headers
        if len(headers) > limits.header_limit:
            raise self._refused(
                431,
                f"the request has {len(headers)} headers; the limit is {limits.header_limit}",
                "the setting header_limit raises it",
            )
        if sum(len(name) + len(value) for name, value in headers) > limits.header_limit_bytes:
            error = self._too_long()
            self._refusal = (431, error)
            raise error
        names = [name for name, _ in headers]
        if len(set(names)) < len(names):
            self._check_once(names)
        if b"transfer-encoding" in names and b"content-length" in names:
            raise self._refused(
                400,
                "the request has both Content-Length and Transfer-Encoding",
                "send one of them: they may name two ends of its body",
            )

    def _check_once(self, names: list[bytes]) -> None:
        for name in _ONCE:
            if (count := names.count(name)) > 1:
                raise self._refused(
                    400,
                    f"the request has the header {name.decode()!r} {count} times",
                    "send it once: two programs may each take another of them",
                )

    def _too_long(self) -> HydraError:
        return InvalidRequest(
            f"the headers have more than {self._limits.header_limit_bytes:,} bytes",
            hint="the setting header_limit_bytes raises the limit",
        )

    def _refused(self, status: int, fact: str, hint: str) -> HydraError:
        """What a parser's callback raises, which ends the parsing."""
        error = InvalidRequest(fact, hint=hint)
        self._refusal = (status, error)
        return error

    # --- what takes too long --------------------------------------------------

    def _watch(self) -> None:
        """Have a timer for what is not whole; a request that comes in one piece needs none."""
        if self._timer is not None:
            return
        if self._reads is Reads.BODY:
            self._start_timer(self._limits.body_timeout_seconds, self._body_is_late)
        elif not self._under_way:
            # Else the end of the answer starts uvicorn's timer for idle connections.
            head = self._reads is Reads.HEAD
            late = self._head_is_late if head else self._is_silent
            self._start_timer(self._limits.head_timeout_seconds, late)

    def _start_timer(self, seconds: float, then: Callable[[], None]) -> None:
        self._timer = self.loop.call_later(seconds, then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_silent(self) -> None:
        self._timer = None
        if self._reads is Reads.HEAD:
            self._head_is_late()
            return
        # It has asked nothing that could be answered.
        self._closing = True
        self.transport.close()

    def _head_is_late(self) -> None:
        self._timer = None
        self._time_out("the headers of a request", self._limits.head_timeout_seconds)

    def _body_is_late(self) -> None:
        self._timer = None
        self._time_out("the body of a request", self._limits.body_timeout_seconds)

    def _time_out(self, what: str, seconds: float) -> None:
        if self.transport.is_closing():
            return
        error = InvalidRequest(
            f"{what} took more than {seconds:g} s",
            hint="send it at once, or raise head_timeout_seconds or body_timeout_seconds",
        )
        self._refusal = (408, error)
        self._refuse()

    # --- refusing -------------------------------------------------------------

    @property
    def _under_way(self) -> bool:
        """Whether a request has not had its whole answer."""
        # There is none before the first request, whatever uvicorn's annotation says.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete

    def _refuse(self) -> None:
        """Answer, unless an answer has begun, and close."""
        self._stop_timer()
        self._closing = True
        status, error = self._refusal or (400, _no_http())
        begun = self._under_way and self.cycle.response_started
        if self._under_way:
            # Whoever works on that request learns that its client is gone.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not begun:
            self.transport.write(_answer(status, error))
        self.transport.close()


def room_for(connections: Collection[object], limit: int) -> int:
    """How many more connections there may be, those that are only told of the limit among them."""
    return limit + TOLD_AT_ONCE - len(connections)


def _answer(status: int, error: HydraError) -> bytes:
    body = msgspec.json.encode(error.body())
    headers: Mapping[bytes, bytes] = {
        b"content-type": b"application/json",
        b"content-length": str(len(body)).encode(),
        b"connection": b"close",
    }
    if error.retry_after_seconds is not None:
        headers = {**headers, b"retry-after": str(error.retry_after_seconds).encode()}
    lines = [b"%b: %b\r\n" % one for one in headers.items()]
    return b"".join([STATUS_LINE[status], *lines, b"\r\n", body])


def _no_http() -> HydraError:
    return InvalidRequest(
        "what was sent is not HTTP/1.1", hint="an https address needs https, an http one http"
    )


def _too_many(limit: int) -> HydraError:
    return Unavailable(
        f"{limit:,} connections are open, which is the limit",
        hint="close some, or raise the setting connection_limit",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )
