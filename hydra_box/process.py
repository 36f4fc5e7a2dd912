"""One engine process: its own session, its log file, its end.

The process writes straight into its log file, so that it needs nothing of the daemon's to live.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from io import FileIO
from pathlib import Path

import psutil

from hydra_box.errors import EngineUnavailable
from hydra_box.sessions import born_at, kill_orphans, leads
from hydra_box.types import ProcessExit

log = logging.getLogger(__name__)

BOX_VARIABLE = "HYDRA_BOX_ID"
INSTANCE_VARIABLE = "HYDRA_BOX_INSTANCE_ID"

START_MARK = b"--- hydra-box starts a process ---\n"
"""Stands in a log before what a process prints, so that it is not taken for another's words."""


def identity(home: Path, instance_id: str) -> dict[str, str]:
    """The environment by which a process is known as this box's, even without a database."""
    return {
        BOX_VARIABLE: str(home),
        INSTANCE_VARIABLE: instance_id,
        # setproctitle, which vLLM uses, would write its titles over the environment.
        "SPT_NOENV": "1",
    }


class EngineProcess:
    """A process that leads a session of its own; when it ends, so does all that it started.

    Args:
        pid: of a process that is still there.
        popen: what started it, if that was this program.
    """

    def __init__(self, pid: int, popen: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)
        try:
            self.created_at = born_at(pid)
        except BaseException:
            os.close(self._pidfd)
            raise
        self._popen = popen
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[ProcessExit] = loop.create_future()
        loop.add_reader(self._pidfd, self._on_exit)

    def _on_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        try:
            exit = self._collect()
        except OSError as error:
            # Whatever cannot be looked at: it has ended, and somebody waits to start it again.
            log.warning("how pid %d ended is not known: %s", self.pid, error)
            exit = ProcessExit()
        os.close(self._pidfd)
        self._ended.set_result(exit)

    def _collect(self) -> ProcessExit:
        try:
            found = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            # An earlier daemon's child: init may have collected it, and its number be another's.
            kill_orphans(self.pid, self.created_at)
            return ProcessExit()
        # Until it is waited for, the pid cannot name anyone else: the moment to end its children.
        self._signal_group(signal.SIGKILL)
        if self._popen is not None:
            self._popen.wait()
        else:
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
        if found is None:
            return ProcessExit()
        if found.si_code == os.CLD_EXITED:
            return ProcessExit(code=found.si_status)
        return ProcessExit(signal=found.si_status)

    def let_go(self) -> None:
        """Follow it no longer; it goes on, and nobody is told of its end."""
        asyncio.get_running_loop().remove_reader(self._pidfd)
        with contextlib.suppress(ChildProcessError):
            # One that has ended already is collected: nobody else waits for it.
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        os.close(self._pidfd)

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self._ended.done()

    async def wait(self) -> ProcessExit:
        """How it ended, once it has; any number of tasks may wait."""
        return await asyncio.shield(self._ended)

    def kill(self) -> None:
        """SIGKILL to it and its group, which a stopped or hanging one cannot ignore."""
        self._signal_group(signal.SIGKILL)

    async def stop(self, grace_seconds: float) -> ProcessExit:
        """End it: SIGTERM to its group, and SIGKILL if it is still there after the grace."""
        self._signal_group(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self.wait()
        self._signal_group(signal.SIGKILL)
        return await self.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        if self.ended:
            return
        with contextlib.suppress(ProcessLookupError):
            # Asked by its pidfd first: of one that is gone the number may be another's.
            signal.pidfd_send_signal(self._pidfd, 0)
            os.killpg(self.pid, number)


def spawn(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log_path: Path
) -> EngineProcess:
    """Start a program in a session of its own, its output appended to the log after a mark.

    Raises:
        EngineUnavailable: the program cannot be started.
    """
    try:
        with _open_log(log_path) as output:
            popen = subprocess.Popen(
                argv,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise EngineUnavailable(
            f"{argv[0]} cannot be started: {error.strerror}",
            hint="hydra-box engines list shows what is installed",
        ) from error
    return EngineProcess(popen.pid, popen)


def _open_log(path: Path) -> FileIO:
    """The log of a process that begins; nowhere, if nothing can be written there.

    An engine needs no log to serve, and some end when they cannot write what they say.
    """
    log_file = None
    try:
        log_file = FileIO(path, "ab")
        log_file.write(START_MARK)
    except OSError as error:
        log.warning("%s cannot be written, and is left out: %s", path, error.strerror)
        if log_file is not None:
            log_file.close()
        return FileIO(os.devnull, "ab")
    return log_file


def adopt(pid: int, created_at: float, names: Mapping[str, str]) -> EngineProcess | None:
    """Take over a process that an earlier daemon started.

    Args:
        pid: its number.
        created_at: when it was born; another process of that number has another birth.
        names: the ``identity`` that it was given.

    Returns:
        The process; None if it is gone, or somebody else has its number.
    """
    try:
        process = EngineProcess(pid)
    except ProcessLookupError:
        return None
    # Only now, as its pidfd holds on to it, is what is read of this number its own.
    try:
        found = psutil.Process(pid).environ()
    except psutil.Error:
        found = {}
    named = all(found.get(name) == names[name] for name in (BOX_VARIABLE, INSTANCE_VARIABLE))
    if leads(pid) and named and process.created_at == created_at:
        return process
    process.let_go()
    return None


def find_leftovers(home: Path) -> Iterator[psutil.Process]:
    """Engine processes of this box, whichever daemon started them."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            variables = process.environ()
            if variables.get(BOX_VARIABLE) == str(home) and INSTANCE_VARIABLE in variables:
                yield process


def read_tail(path: Path, limit_bytes: int = 16_384) -> str:
    """The last part of a log; empty when there is none, or none that can be read."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - limit_bytes))
            return file.read(limit_bytes).decode(errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        # What it says explains other faults, and must not add one to them.
        log.warning("%s cannot be read: %s", path, error.strerror)
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
        try:
            _copy_tail(path, older, limit_bytes)
        except OSError as error:
            # On a full disk the room that emptying it makes is worth more than the copy.
            log.warning("%s is emptied without a copy: %s", path.name, error.strerror)
            older.unlink(missing_ok=True)
        os.truncate(path, 0)
    except FileNotFoundError:
        return False
    return True


def _copy_tail(path: Path, target: Path, limit_bytes: int) -> None:
    """Piece by piece: what a thread has once held, the allocator keeps for it."""
    with path.open("rb") as source, target.open("wb") as copy:
        source.seek(max(0, path.stat().st_size - limit_bytes))
        shutil.copyfileobj(source, copy)
