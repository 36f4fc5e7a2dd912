"""The OpenAI-compatible endpoint: ASGI on one side, the gateway's relay on the other.

A plain ASGI handler, because nothing may stand between an engine's bytes and the client: no
request object, no response object, no middleware that looks at each message.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

from litestar import asgi
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send
from litestar.types.asgi_types import HTTPScope
from litestar.utils import normalize_path

from api.security import ACCESS, Access
from api.trust import is_trusted
from hydra_box.errors import PayloadTooLarge
from hydra_box.gateway.exchange import ClientGone, Headers
from hydra_box.gateway.relay import INFERENCE, MODELS, Relay

MOUNTS = ["/v1", *INFERENCE, MODELS]
"""All of ``/v1``, and what older clients ask for without it."""


def create_openai_handler(relay: Relay) -> ASGIRouteHandler:
    """The route handler of every path of the endpoint; the relay checks the keys."""

    @asgi(MOUNTS, is_mount=True, copy_scope=False, opt={ACCESS: Access.KEY_CHECKED_BY_HANDLER})
    async def openai_endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            await relay.handle(AsgiExchange(scope, receive, send))
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1000, "reason": "not a WebSocket"})

    return openai_endpoint


class AsgiExchange:
    """An ASGI connection as the relay's ``Exchange``."""

    __slots__ = ("_receive", "_scope", "_send", "method", "path", "trusted")

    def __init__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.method: str = scope["method"]
        # Litestar has cut the mount's prefix from the decoded path.
        self.path = normalize_path(unquote(scope["raw_path"].decode("latin-1")))
        self.trusted = is_trusted(scope)

    def header(self, name: bytes) -> str | None:
        """A request header's first value."""
        for key, value in self._scope["headers"]:
            if key == name:
                return value.decode("latin-1")
        return None

    async def read_body(self, limit_bytes: int, grown: Callable[[int], None]) -> bytes:
        """The body, read no further than the limit."""
        parts: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGone("the client left before the end of its request")
            parts.append(message["body"])
            size += len(message["body"])
            if size > limit_bytes:
                raise PayloadTooLarge(
                    f"the body has more than {limit_bytes:,} bytes",
                    hint="the setting body_limit_bytes raises the limit",
                )
            grown(size)
            more = message["more_body"]
        return b"".join(parts)

    async def wait_gone(self) -> None:
        """Returns when the client has left, or has its whole answer."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def start(self, status: int, headers: Headers) -> None:
        """Begin the answer."""
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def send(self, data: bytes, *, more: bool) -> None:
        """A part of the answer's body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
