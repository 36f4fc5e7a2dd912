"""What the daemon tells the service manager that started it: sd_notify(3), without its library."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping
from typing import Final

log = logging.getLogger(__name__)

SEND_SECONDS: Final = 1.0
"""A manager that is too busy to take a word for so long does not hold up the requests."""


class Notifier:
    """Speaks to the service manager; says nothing where none has asked for it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        name = environ.get("NOTIFY_SOCKET", "")
        # An abstract socket is written with an @ in the place of its first byte, a zero.
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self._watchdog_seconds = _watchdog_seconds(environ)
        self._status = ""
        self._stops = False

    @property
    def listens(self) -> bool:
        """Whether there is a manager that wants to be told."""
        return bool(self._address)

    @property
    def watchdog(self) -> float | None:
        """Seconds between two pings: half of what the manager allows. None: it does not watch."""
        return self._watchdog_seconds / 2 if self._watchdog_seconds and self.listens else None

    def ready(self) -> None:
        """The daemon answers; also at the end of what ``reloading`` began."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``; told when it has changed, until ``stopping``."""
        line = " ".join(text.split())
        if line != self._status and not self._stops:
            self._status = line
            self._send(f"STATUS={line}")

    def stopping(self) -> None:
        """The daemon has begun to end."""
        self._stops = True
        self._send("STOPPING=1\nSTATUS=stopping: requests under way may finish")

    def reloading(self) -> None:
        """The daemon has begun to replace itself; ``ready`` follows, of the new program."""
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now_us}")

    def ping(self) -> None:
        """The daemon is well."""
        self._send("WATCHDOG=1")

    def extend(self, seconds: float) -> None:
        """Starting or stopping goes on, and may take so long from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def _send(self, text: str) -> None:
        """Say it; a manager that cannot be reached is no reason to stop serving."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
                speaker.settimeout(SEND_SECONDS)
                speaker.sendto(text.encode(), self._address)
        except OSError as error:
            log.warning("the service manager was not told %r: %s", text, error)


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """What the manager allows between two pings of this very process (sd_watchdog_enabled(3))."""
    allowed, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID")
    if not allowed.isdecimal() or (pid is not None and pid != str(os.getpid())):
        return None
    return int(allowed) / 1_000_000 or None
