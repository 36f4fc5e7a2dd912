"""``hydra-box`` without a verb: the console, and a daemon for it where none runs."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hydra_box.cli.background import launch
from hydra_box.cli.connection import connect
from hydra_box.cli.failure import report
from hydra_box.cli.options import Options
from hydra_box.config import resolve_paths
from hydra_box.errors import HydraError, StateError
from hydra_box.types import Frozen

UNIT: Final = "hydra-box.service"
_UNIT_DIRECTORIES: Final = (
    (Path("/etc/systemd/system"), ()),
    (Path("/usr/lib/systemd/system"), ()),
    (Path("~/.config/systemd/user"), ("--user",)),
)
_STOP_SECONDS: Final = 60.0


def open_console(options: Options) -> int:
    """Open the console on the box that the options name; the answer is the exit status."""
    daemon = _OwnDaemon()
    try:
        connect(options).close()
        # The core may not know the screen: only this program does, when it opens it.
        console: Any = importlib.import_module("tui.main")
        status: int = console.run(
            lambda: connect(options),
            directory=resolve_paths(os.environ).home / "console",
            address=options.url,
            start_ways=() if options.url else ways(options, daemon),
        )
    except HydraError as error:
        report(error, as_json=False)
        return error.exit_code
    finally:
        daemon.stop()
    return status


class Way(Frozen, frozen=True, kw_only=True):
    """One way to start the daemon, as the console offers it."""

    key: str
    """What to press."""
    title: str
    detail: str
    start: Callable[[], object]
    """Returns once the daemon answers. Raises ``HydraError``: what went wrong."""


class _OwnDaemon:
    """A daemon that lives as long as the console, if the user wants it so."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, options: Options) -> None:
        """Start it; returns once it answers."""
        self._child = _start(options)

    def stop(self) -> None:
        """End it in order, its engines too; does nothing if there is none."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            self._child.wait(_STOP_SECONDS)


def ways(options: Options, daemon: _OwnDaemon) -> list[Way]:
    """What can be offered here, the likeliest first."""
    found = [
        Way(
            key="b",
            title="in the background",
            detail="goes on when the console is closed; hydra-box status shows its pid",
            start=lambda: _start(options),
        ),
        Way(
            key="c",
            title="as long as the console is open",
            detail="closing the console ends it and its engines; services stay deployed",
            start=lambda: daemon.start(options),
        ),
    ]
    if (scope := _installed_unit()) is not None:
        systemctl = " ".join(("systemctl", *scope, "start", UNIT))
        found.insert(
            0,
            Way(
                key="s",
                title="the installed system service",
                detail=systemctl,
                start=lambda: _start_unit(systemctl.split()),
            ),
        )
    return found


def _start(options: Options) -> subprocess.Popen[bytes]:
    with connect(options) as client:
        child, _ = launch(client, None, lambda _: None)
    return child


def _installed_unit() -> tuple[str, ...] | None:
    """The scope of the unit that is installed: none, or the user's; None: there is no unit."""
    if shutil.which("systemctl") is None:
        return None
    for directory, scope in _UNIT_DIRECTORIES:
        if (directory.expanduser() / UNIT).is_file():
            return scope
    return None


def _start_unit(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StateError(
            f"{' '.join(command)} failed: {done.stderr.strip() or done.returncode}",
            hint="run it in a shell, where it can ask for a password",
        )
