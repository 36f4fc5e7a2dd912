"""Web pages of other sites that the owner lets call this box from a browser, and no others.

Without an allow-list no answer has a CORS header, so a browser gives no answer to a page of another
site. There is no wildcard: each allowed page is named back to its own browser.
"""

from __future__ import annotations

from collections.abc import Collection

from litestar.types import ASGIApp, Message, Receive, Scope, Send

ALLOWED_METHODS = b"GET, POST, PATCH, DELETE"
PREFLIGHT_SECONDS = 600
"""How long a browser may remember what a preflight allowed."""


def with_cors(app: ASGIApp, origins: Collection[str]) -> ASGIApp:
    """The application, for these pages too; without any, the application itself."""
    return Cors(app, origins) if origins else app


class Cors:
    """An ASGI application that tells browsers which pages may read its answers."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = frozenset(one.rstrip("/").lower().encode() for one in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or go on with the page named in the answer's head."""
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"")
        if origin.lower() not in self._origins:
            await self._app(scope, receive, send)
            return
        allows = [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
        if b"access-control-request-method" in headers and scope.get("method") == "OPTIONS":
            asked = headers.get(b"access-control-request-headers", b"")
            await _allow(send, [*allows, (b"access-control-allow-headers", asked)])
            return

        async def send_allowed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *allows]
            await send(message)

        await self._app(scope, receive, send_allowed)


async def _allow(send: Send, headers: list[tuple[bytes, bytes]]) -> None:
    headers += [
        (b"access-control-allow-methods", ALLOWED_METHODS),
        (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
