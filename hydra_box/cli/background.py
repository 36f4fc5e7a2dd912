"""Starting the daemon in the background, for the verbs that need one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

import msgspec

from hydra_box.cli.progress import Progress
from hydra_box.client import Client
from hydra_box.config import Paths, resolve_paths
from hydra_box.connection_faults import error_of
from hydra_box.errors import DaemonUnreachable, HydraError, StateError
from hydra_box.messages import BoxStatus
from hydra_box.process import read_tail
from hydra_box.types import ErrorBody

POLL_SECONDS: Final = 0.1
START_SECONDS: Final = 60.0
TAIL_BYTES: Final = 2000


def start_daemon(client: Client, port: int | None) -> BoxStatus:
    """Start ``hydra-box serve`` in the background and wait until it answers, with progress.

    Raises:
        HydraError: as ``launch`` has it.

    """
    with Progress() as progress:
        child, status = launch(
            client, port, lambda pid: progress.show(f"starting the daemon, pid {pid}")
        )
        progress.done(f"the daemon answers at {status.url}, pid {child.pid}")
        return status


def launch(
    client: Client, port: int | None, waiting: Callable[[int], None]
) -> tuple[subprocess.Popen[bytes], BoxStatus]:
    """Start ``hydra-box serve`` in a session of its own and wait until it answers.

    ``waiting`` is called with its pid, again and again until then.

    Raises:
        HydraError: what the daemon said before it ended: its port is taken, and so on.
        StateError: it ended without a word, or did not answer in time; with the end of its log.

    """
    paths = resolve_paths(os.environ)
    paths.create()
    log = paths.logs / "daemon.log"
    # With --json the daemon writes nothing to stdout but the reason why it could not start.
    with tempfile.TemporaryFile() as last_words:
        child = _spawn(paths, log, last_words, port)
        deadline = time.monotonic() + START_SECONDS
        while True:
            waiting(child.pid)
            ended = child.poll()
            try:
                status = client.status()
            except DaemonUnreachable:
                if ended is not None:
                    raise _end(ended, last_words, log) from None
            else:
                return child, status
            if time.monotonic() > deadline:
                raise StateError(
                    f"the daemon, pid {child.pid}, did not answer in {START_SECONDS:.0f} s; "
                    f"the end of its log:\n{read_tail(log, TAIL_BYTES)}",
                    hint=f"the whole log is {log}",
                )
            time.sleep(POLL_SECONDS)


def _spawn(
    paths: Paths, log: Path, last_words: IO[bytes], port: int | None
) -> subprocess.Popen[bytes]:
    """The daemon, free of this terminal: its own session, its output in its log."""
    command = [sys.executable, "-m", "hydra_box.cli", "serve", "--json"]
    if port is not None:
        command += ["--port", str(port)]
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=last_words,
            stderr=output,
            cwd=paths.home,
            env={**os.environ, "HYDRA_BOX_HOME": str(paths.home)},
            start_new_session=True,
        )


def _end(status: int, last_words: IO[bytes], log: Path) -> HydraError:
    """Why the daemon ended, in its own words if it had any."""
    last_words.seek(0)
    try:
        body = msgspec.json.decode(last_words.read(), type=ErrorBody)
    except msgspec.DecodeError:
        return StateError(
            f"the daemon ended with status {status} before it answered; the end of its log:\n"
            f"{read_tail(log, TAIL_BYTES)}",
            hint=f"the whole log is {log}",
        )
    return error_of(body)
