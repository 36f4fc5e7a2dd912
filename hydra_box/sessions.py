"""Sessions of processes, as the kernel knows them: each engine leads one, and its workers follow.

A session's number is not given to anyone else while a process is left in it, also when its leader
is gone.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

LOOK_SECONDS = 0.05

_START_TIME = 19
"""Which word of ``/proc/<pid>/stat`` it is, counted from the state behind the name (proc(5))."""


def born_at(pid: int) -> float:
    """Seconds from the machine's boot to the start of a process, whatever is done to the clock.

    Raises:
        ProcessLookupError: there is none of that number.
    """
    try:
        words = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except FileNotFoundError as error:
        raise ProcessLookupError(f"no process {pid}") from error
    return int(words[_START_TIME]) / os.sysconf("SC_CLK_TCK")


def session_of(pid: int) -> int | None:
    """The session of a process; None if it is gone, or came into this container from outside.

    All of the latter say 0, and have nothing to do with each other.
    """
    try:
        return os.getsid(pid) or None
    except ProcessLookupError:
        return None


def leads(pid: int) -> bool:
    """Whether a process leads a session."""
    return session_of(pid) == pid


def kill_orphans(session: int, born: float) -> None:
    """SIGKILL what is left of a session whose leader has ended; blocking, milliseconds.

    Args:
        session: its number, that of its leader.
        born: when the leader was; another one of that number has a session of its own.
    """
    with contextlib.suppress(ProcessLookupError):
        if born_at(session) != born:
            return
    for process in _led({session}):
        with contextlib.suppress(psutil.Error):
            process.kill()


def whole_sessions(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """These processes, and all others of the sessions that they lead or whose leader is gone."""
    ours = {one.pid: one for one in processes}
    sessions = {session for pid in ours if (session := session_of(pid)) is not None}
    for process in [*_led(sessions & ours.keys()), *_orphans(sessions - ours.keys())]:
        ours.setdefault(process.pid, process)
    return list(ours.values())


def end(processes: Iterable[psutil.Process], grace_seconds: float) -> list[int]:
    """End processes: SIGTERM, and SIGKILL to their whole sessions after the grace; blocking.

    Returns:
        The pids of those that are still there: the kernel itself holds them.
    """
    ending = whole_sessions(processes)
    for process in ending:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    # What they have started meanwhile, too.
    alive = whole_sessions(_still_alive(ending, grace_seconds))
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return [one.pid for one in _still_alive(alive, grace_seconds)]


def collect_children() -> None:
    """Collect the ended children that this process has from before it ran this program."""
    with contextlib.suppress(ChildProcessError):
        while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG) is not None:
            pass


def _still_alive(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that have not ended after so long; of children, the others are collected.

    One that its parent has not collected yet has ended: an init may take its time, or never do it.
    """
    deadline, alive = time.monotonic() + seconds, processes
    while alive and time.monotonic() < deadline:
        _, alive = psutil.wait_procs(alive, timeout=LOOK_SECONDS)
        alive = [one for one in alive if _lives(one.pid)]
    return alive


def _led(sessions: Iterable[int]) -> list[psutil.Process]:
    wanted = set(sessions)
    return [one for one in psutil.process_iter() if session_of(one.pid) in wanted]


def _orphans(sessions: Iterable[int]) -> list[psutil.Process]:
    """The processes of those sessions whose leader has ended, collected or not."""
    return _led(one for one in sessions if not _lives(one))


def _lives(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False
