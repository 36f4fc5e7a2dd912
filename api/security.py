"""Who may do what: one guard on the matched route, which denies unless the route says otherwise.

1. PUBLIC: anyone; the answer holds nothing that is worth hiding.
2. KEY_CHECKED_BY_HANDLER: the endpoint, whose handlers authenticate every request themselves.
3. Everything else manages the box. It is open to the UNIX socket, which only its owner can reach;
   over TCP it takes a Host and an Origin that a hostile web page cannot have, and an admin key.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Guard
from litestar.types import Scope as ASGIScope

from api.trust import is_trusted
from hydra_box.config import Settings
from hydra_box.errors import Forbidden
from hydra_box.keys import KeyRing
from hydra_box.types import ApiKey, Scope

Connection = ASGIConnection[Any, Any, Any, Any]

ACCESS = "access"
"""Key of a route's ``opt`` that loosens what the guard asks for."""

_ASKING = "asking-key"
"""Where in a scope's state the guard leaves the key; nothing that a client sends can reach it."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Access(StrEnum):
    """What a route asks for; a route that says nothing asks for ADMIN."""

    ADMIN = "admin"
    KEY_CHECKED_BY_HANDLER = "key-checked-by-handler"
    PUBLIC = "public"


def create_guard(
    keys: KeyRing, bound_hosts: Collection[str], settings: Settings | None = None
) -> Guard:
    """The guard of the whole application.

    Args:
        keys: the keys, in memory.
        bound_hosts: what the TCP server listens on: addresses or names.
        settings: they have further names of the box, and pages that may call it.
    """
    settings = settings or Settings()
    hosts = HostCheck(bound_hosts, socket.gethostname(), settings.allowed_hosts)
    origins = frozenset(one.rstrip("/").lower() for one in settings.allowed_origins)

    async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
        access = handler.opt.get(ACCESS, Access.ADMIN)
        if access is not Access.ADMIN or is_trusted(connection.scope):
            return
        refuse_foreign_host(connection, hosts)
        refuse_foreign_origin(connection, origins)
        key = keys.authenticate(connection.headers.get("authorization"))
        connection.scope.setdefault("state", {})[_ASKING] = key
        if Scope.ADMIN not in key.scopes:
            raise Forbidden(
                f"the key {key.name!r} has no admin scope",
                hint="hydra-box keys create --name NAME --scope admin makes one that has",
            )

    return guard


def asking_key(scope: ASGIScope) -> ApiKey | None:
    """The admin key with which a request of the management API came; None: none was needed."""
    key: ApiKey | None = scope.get("state", {}).get(_ASKING)
    return key


class HostCheck:
    """Which names of this box a Host header may have: the defence against DNS rebinding.

    The loopback names and the configured host. A box that listens on every address also answers
    to its own host name and to IP addresses, because no DNS record can be pointed elsewhere there.
    What stands in front of the box calls it by other names, which its owner allows.
    """

    def __init__(
        self, bound_hosts: Collection[str], hostname: str, allowed: Collection[str] = ()
    ) -> None:
        self._names = _LOOPBACK | {host.lower() for host in (*bound_hosts, *allowed)}
        self._any_address = any(_is_wildcard(host) for host in bound_hosts)
        if self._any_address:
            own = hostname.lower()
            self._names |= {own, own.partition(".")[0], f"{own.partition('.')[0]}.local"}

    def allows(self, host: str) -> bool:
        """Whether a Host header, with or without a port, names this box."""
        name = _host_name(host)
        return name in self._names or (self._any_address and _is_address(name))


def refuse_foreign_host(connection: Connection, hosts: HostCheck) -> None:
    """Let only requests pass that were addressed to this box.

    Raises:
        Forbidden: the Host header is missing or names something else.
    """
    host = connection.headers.get("host", "")
    if not hosts.allows(host):
        raise Forbidden(
            f"the Host header {host!r} does not name this box",
            hint="use the address that hydra-box status shows, or name it in allowed_hosts",
        )


def refuse_foreign_origin(connection: Connection, allowed: Collection[str] = ()) -> None:
    """Let only requests pass that no other site's page made, but for the allowed ones.

    Raises:
        Forbidden: the browser says that another site sent it.
    """
    origin = connection.headers.get("origin")
    if origin is not None and origin.lower() in allowed:
        return
    site = connection.headers.get("sec-fetch-site", "none")
    same = origin is None or urlsplit(origin).netloc == connection.headers.get("host")
    if not same or site not in ("none", "same-origin"):
        raise Forbidden(
            f"a page of another site sent this request (Origin {origin!r})",
            hint="the setting allowed_origins names the pages that may",
        )


def _host_name(host: str) -> str:
    """The name in a Host header, in lower case; empty if it is not one name and maybe a port."""
    if set(host) & set("@/?#"):
        return ""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_wildcard(host: str) -> bool:
    return host == "" or (_is_address(host) and ipaddress.ip_address(host).is_unspecified)
