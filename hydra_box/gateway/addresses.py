"""Which addresses an upstream may be at: public ones, unless an admin says otherwise.

What is checked is the address that a socket is about to be connected to, whatever name led there
and whenever it was resolved. So neither a name of a private address, nor one whose address has
changed since (DNS rebinding), nor an address in an odd notation gets past it.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
AddressInfo = tuple[
    int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[object, ...]
]

KEEPALIVE_IDLE_SECONDS = 30
KEEPALIVE_INTERVAL_SECONDS = 10
KEEPALIVE_PROBES = 3
"""A peer that has vanished without a word is noticed after a minute."""

_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 addresses behind a NAT64 (RFC 6052)."""


class PrivateAddress(OSError):
    """A connection to an address of this machine or its network was refused."""


def is_private(address: Address) -> bool:
    """Whether an address belongs to this machine, its network, or nobody at all."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inner_address(address)
        if inner is not None:
            return is_private(inner)
        if address.is_site_local:
            return True
    return (
        not address.is_global
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or address.is_loopback
        or address.is_link_local
    )


def literal(host: str) -> Address | None:
    """The address that a host of a URL is; None: it is a name.

    Raises:
        ValueError: it looks like an address, and is none in the usual notation: what resolves it
            may read ``127.1`` or ``0x7f000001`` as one.

    """
    last = host.rstrip(".").rpartition(".")[2]
    if ":" in host or last.isdigit() or last.lower().startswith("0x"):
        return ipaddress.ip_address(host)
    return None


def socket_maker(*, allows_private: bool) -> Callable[[AddressInfo], socket.socket]:
    """What makes a socket for each address that a connection is tried to.

    The sockets notice when the other side is gone, however long it is silent.
    """

    def make(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, where = info
        if not allows_private and _may_be_private(str(where[0])):
            raise PrivateAddress(0, "the address is private")
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
        return made

    return make


def _may_be_private(text: str) -> bool:
    try:
        return is_private(ipaddress.ip_address(text))
    except ValueError:
        return True


def _inner_address(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to, if it does."""
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
