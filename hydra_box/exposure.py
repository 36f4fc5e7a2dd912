"""Who may be let in from the network: the rule for an address that other machines can reach.

A box that is open to others has a key to its door before it is open. The rule is about where a
socket listens, whoever made it: the daemon, or a service manager that handed it over.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from hydra_box.errors import ConfigError
from hydra_box.messages import KeyView


class Terms(NamedTuple):
    """What says of a key whether it opens anything, where that is all that is known of it."""

    revoked_at: float | None
    disabled_at: float | None
    owner_disabled_at: float | None
    expires_at: float | None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address; an IPv4 one may be written as an IPv6 one."""
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def opens(key: KeyView | Terms, now: float) -> bool:
    """Whether a key, or its user, still opens anything."""
    if key.revoked_at is not None or key.disabled_at is not None:
        return False
    return key.owner_disabled_at is None and (key.expires_at is None or key.expires_at > now)


def refuse_open_bind(hosts: Iterable[str], keys: Iterable[KeyView | Terms], now: float) -> None:
    """Nobody opens a box to the network before there is a key to its door.

    Args:
        hosts: the addresses that it listens on.
        keys: every key, those that open nothing too.
        now: seconds since the epoch.

    Raises:
        ConfigError: an address can be reached from other machines, and no key opens anything.
    """
    reachable = [host for host in hosts if not is_loopback(host)]
    known = tuple(keys)
    if not reachable or any(opens(key, now) for key in known):
        return
    has = "no key"
    if known:
        has = f"no key that opens anything ({len(known)} revoked, expired or disabled)"
    raise ConfigError(
        f"{', '.join(reachable)} can be reached from other machines, and this box has {has}",
        hint="first start it on 127.0.0.1 and run: hydra-box keys create --name NAME",
    )
