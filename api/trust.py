"""Marks what comes over the management socket, which only the box's owner can reach."""

from __future__ import annotations

from litestar.types import ASGIApp, Receive, Scope, Send

_TRUSTED = "trusted"


class Trusted:
    """An ASGI application whose every request needs no key.

    Wrap the application that is served on a socket of mode 0600, and no other. The mark is in the
    scope's state, which nothing that a client sends can reach.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Mark the scope, then go on."""
        scope.setdefault("state", {})[_TRUSTED] = True
        await self._app(scope, receive, send)


def is_trusted(scope: Scope) -> bool:
    """Whether the request came through ``Trusted``."""
    return scope.get("state", {}).get(_TRUSTED) is True
