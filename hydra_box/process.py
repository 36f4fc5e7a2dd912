"""One engine process: its own session, its log file, its end.

The process writes straight into its log file, so that it needs nothing of the daemon's to live.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from hydra_box.errors import EngineUnavailable
from hydra_box.types import ProcessExit

BOX_VARIABLE = "HYDRA_BOX_ID"
INSTANCE_VARIABLE = "HYDRA_BOX_INSTANCE_ID"

START_MARK = b"--- hydra-box starts a process ---\n"
"""Stands in a log before what a process prints, so that it is not taken for another's words."""


def identity(home: Path, instance_id: str) -> dict[str, str]:
    """The environment by which a process is known as this box's, even without a database."""
    return {BOX_VARIABLE: str(home), INSTANCE_VARIABLE: instance_id}


class EngineProcess:
    """A child that leads a process group of its own; when it ends, so does its group."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self.pid = popen.pid
        self.created_at = psutil.Process(popen.pid).create_time()
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[ProcessExit] = loop.create_future()
        self._pidfd = os.pidfd_open(popen.pid)
        loop.add_reader(self._pidfd, self._on_exit)

    def _on_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        # Until it is waited for, the pid cannot name anyone else: the moment to end its children.
        self._signal_group(signal.SIGKILL)
        code = self._popen.wait()
        self._ended.set_result(
            ProcessExit(signal=-code) if code < 0 else ProcessExit(code=code),
        )

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self._ended.done()

    async def wait(self) -> ProcessExit:
        """How it ended, once it has; any number of tasks may wait."""
        return await asyncio.shield(self._ended)

    async def stop(self, grace_seconds: float) -> ProcessExit:
        """End it: SIGTERM to its group, and SIGKILL if it is still there after the grace."""
        if not self.ended:
            self._signal_group(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_seconds):
                    await self.wait()
        if not self.ended:
            self._signal_group(signal.SIGKILL)
        return await self.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def spawn(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log_path: Path
) -> EngineProcess:
    """Start a program in a session of its own, its output appended to the log after a mark.

    Raises:
        EngineUnavailable: the program cannot be started.
    """
    try:
        with log_path.open("ab") as log:
            log.write(START_MARK)
            log.flush()
            popen = subprocess.Popen(
                argv,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise EngineUnavailable(
            f"{argv[0]} cannot be started: {error.strerror}",
            hint="hydra-box engines list shows what is installed",
        ) from error
    return EngineProcess(popen)


def find_leftovers(home: Path) -> Iterator[psutil.Process]:
    """Engine processes of this box that an earlier daemon left behind."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            variables = process.environ()
            if variables.get(BOX_VARIABLE) == str(home) and INSTANCE_VARIABLE in variables:
                yield process


def reap_leftovers(home: Path, grace_seconds: float = 5.0) -> list[int]:
    """End the engine processes that an earlier daemon left behind; blocking.

    Returns:
        Their pids.
    """
    leftovers = list(find_leftovers(home))
    for process in leftovers:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(leftovers, timeout=grace_seconds)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=grace_seconds)
    return [process.pid for process in leftovers]


def read_tail(path: Path, limit_bytes: int = 16_384) -> str:
    """The last part of a log; empty when there is none."""
    try:
        with path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - limit_bytes))
            return log.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def read_last_process(path: Path, limit_bytes: int = 16_384) -> str:
    """The last part of what the newest process of a log printed."""
    return read_tail(path, limit_bytes).rpartition(START_MARK.decode())[2]


def rotate(path: Path, limit_bytes: int) -> bool:
    """Move a log over its limit to ``<name>.1`` and empty it; blocking.

    It is copied and truncated, because the engine holds it open: lines that are written between
    the two are lost.

    Returns:
        Whether it was rotated.
    """
    try:
        if path.stat().st_size <= limit_bytes:
            return False
        older = path.with_name(path.name + ".1")
        older.write_bytes(read_tail(path, limit_bytes).encode())
        os.truncate(path, 0)
    except FileNotFoundError:
        return False
    return True
