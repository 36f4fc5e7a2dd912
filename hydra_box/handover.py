"""Handing over: the program on the disk goes on in this process, and the engines do not notice.

The listening sockets stay open from one program to the next, so that whoever connects meanwhile
waits and is not refused; so does the lock on the state directory, so that nobody else takes it.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, MutableMapping, Sequence
from typing import NamedTuple, NoReturn

import msgspec

from hydra_box.connection_faults import error_of
from hydra_box.errors import Conflict, HydraError
from hydra_box.journal import Record
from hydra_box.sockets import FIRST_INHERITED
from hydra_box.types import ErrorBody, Severity

log = logging.getLogger(__name__)

LOCK_VARIABLE = "HYDRA_BOX_LOCK_FD"
KEPT_VARIABLE = "HYDRA_BOX_KEPT_ADDRESS"
"""Where the endpoint is: the program that is tried may keep that, and has to open any other."""
TRIAL_SECONDS = 60.0
LAST_WORDS_CHARACTERS = 500

_APART = 64
"""Above every descriptor that may stand where the ones to hand over have to be."""
_DEADLY = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Handover:
    """Whether the daemon is to hand over to the program on the disk, which is tried before."""

    def __init__(self, record: Record, environ: Mapping[str, str], address: str = "") -> None:
        self.asked = asyncio.Event()
        self._record = record
        self._environ = {**environ, KEPT_VARIABLE: address}
        self._trying = asyncio.Lock()
        self._asking: asyncio.Task[None] | None = None

    async def ask(self) -> None:
        """Have the daemon hand over, as soon as the requests under way have finished.

        Raises:
            Conflict: the program does not start; this daemon goes on.
        """
        async with self._trying:
            if not self.asked.is_set():
                await _try_program(self._environ)
                self._record("daemon.restarting", "another daemon takes over from this one")
                self.asked.set()

    def begin(self) -> None:
        """The same for who cannot be answered: a refusal becomes an event."""
        self._asking = asyncio.create_task(self._ask_or_tell())

    async def _ask_or_tell(self) -> None:
        try:
            await self.ask()
        except HydraError as error:
            self._record("daemon.restart_refused", str(error), severity=Severity.ERROR)


class Doors(NamedTuple):
    """The listening sockets of a daemon."""

    public: socket.socket
    private: socket.socket

    def keep_open(self) -> list[int]:
        """Descriptors by which they stay open when their servers have closed them."""
        return [os.dup(one.fileno()) for one in self]


def program() -> list[str]:
    """The command line by which this daemon was started."""
    return [sys.executable, *sys.orig_argv[1:]]


def inherited_lock(environ: MutableMapping[str, str]) -> int | None:
    """The descriptor of the lock that the program before this one handed over."""
    descriptor = environ.pop(LOCK_VARIABLE, "")
    if not descriptor.isdecimal():
        return None
    os.set_inheritable(int(descriptor), False)
    return int(descriptor)


def hold_signals() -> None:
    """Have signals wait: between two programs nobody would know what they mean."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _DEADLY)


def let_signals() -> None:
    """Take signals, those that waited first."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _DEADLY)


def replace(doors: Sequence[int], lock: int) -> NoReturn:
    """Have the program on the disk go on in this process.

    Args:
        doors: descriptors of the listening sockets.
        lock: the descriptor that holds the state directory.

    Raises:
        OSError: the program cannot be run at all.
    """
    apart = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, _APART) for one in (*doors, lock)]
    for number, descriptor in enumerate(apart, FIRST_INHERITED):
        os.dup2(descriptor, number)
    environ = {
        **os.environ,
        "LISTEN_PID": str(os.getpid()),
        "LISTEN_FDS": str(len(doors)),
        LOCK_VARIABLE: str(FIRST_INHERITED + len(doors)),
    }
    command = program()
    os.execve(command[0], command, environ)  # noqa: S606 - the very program that runs already


async def _try_program(environ: Mapping[str, str]) -> None:
    """See whether the program starts: it reads what a daemon reads, and changes nothing.

    Raises:
        Conflict: it does not; in its own words.
    """
    command = (*program(), "--check", "--json")
    try:
        trial = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=dict(environ)
        )
    except OSError as error:
        raise _refusal(f"{command[0]} cannot be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            output, errors = await trial.communicate()
    except TimeoutError:
        trial.kill()
        await trial.wait()
        raise _refusal(f"it did not end in {TRIAL_SECONDS:g} s") from None
    if trial.returncode:
        raise _refusal(_words_of(output, errors) or f"it ended with status {trial.returncode}")


def _words_of(output: bytes, errors: bytes) -> str:
    """Why it does not start: its error, or else the end of what it printed."""
    try:
        return error_of(msgspec.json.decode(output, type=ErrorBody)).message
    except msgspec.DecodeError:
        return errors.decode(errors="replace").strip()[-LAST_WORDS_CHARACTERS:]


def _refusal(why: str) -> Conflict:
    return Conflict(
        f"the daemon that would follow does not start: {why}",
        hint="this one goes on; hydra-box serve --check says more",
    )
