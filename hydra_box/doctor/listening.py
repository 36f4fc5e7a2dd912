"""What ``doctor`` says of the way to the daemon: its port, its address and its certificate."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from hydra_box.config import Settings
from hydra_box.doctor.findings import ERROR, INFO, WARNING, finding
from hydra_box.errors import ConfigError, HydraError
from hydra_box.sockets import listen
from hydra_box.tls import find_tls_files, load_tls
from hydra_box.types import Finding

REACH_SECONDS: Final = 5.0


def check_port(settings: Settings) -> Finding:
    """Whether a daemon could listen; only to be asked where none of ours does."""
    try:
        with listen(settings.host, settings.port):
            return finding("port", INFO, f"port {settings.port} on {settings.host} is free")
    except HydraError as error:
        return finding("port", ERROR, error.message, error.hint)


def check_url(url: str) -> Finding:
    """Whether the daemon can be reached where it says that it answers."""
    check, address = "port", urlsplit(url)
    try:
        with socket.create_connection((address.hostname or "", address.port or 0), REACH_SECONDS):
            return finding(check, INFO, f"{url} can be reached from here")
    except OSError as error:
        text = f"{url} cannot be reached from this machine: {error.strerror or error}"
        hint = "look for a firewall's rule, and for an address that the machine lost"
        return finding(check, ERROR, text, hint)


def check_tls(settings: Settings, environ: Mapping[str, str]) -> list[Finding]:
    """Whether certificate and key can be used, if there are any."""
    check = "TLS"
    try:
        files = find_tls_files(settings, environ)
        if files is None:
            return [finding(check, INFO, "no certificate: the endpoint is plain http")]
        _, warnings = load_tls(files)
    except ConfigError as error:
        return [finding(check, ERROR, error.message, error.hint)]
    parts = (one.partition("; hint: ") for one in warnings)
    troubled = [finding(check, WARNING, fact, hint or None) for fact, _, hint in parts]
    return troubled or [finding(check, INFO, f"{files.certificate} holds, and its key is private")]
