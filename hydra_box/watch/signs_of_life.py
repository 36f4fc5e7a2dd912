"""What the kernel tells of an engine's processes: work done, and whether its socket listens."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from hydra_box.measure import trees, work_done
from hydra_box.types import Frozen

CONNECT_TIMEOUT_SECONDS = 1.0


class Work(Frozen, frozen=True, kw_only=True):
    """What a process and its descendants have done so far."""

    cpu_seconds: float = 0.0
    read_bytes: int = 0
    """From disks, the pages of mapped files included."""
    listens: bool = True


def look_at(engines: Mapping[str, tuple[int, Path]]) -> dict[str, Work]:
    """The work of each engine, by the id that its pid and socket are given with; blocking."""
    found = trees(pid for pid, _ in engines.values())
    return {id: _look(found[pid], socket_path) for id, (pid, socket_path) in engines.items()}


def _look(processes: Iterable[psutil.Process], socket_path: Path) -> Work:
    done = work_done(processes)
    return Work(
        cpu_seconds=done.cpu_seconds,
        read_bytes=done.read_bytes,
        listens=listens(socket_path),
    )


def listens(socket_path: Path) -> bool:
    """Whether somebody listens at a socket, be it that he has no time; blocking, at most a second.

    A process that is stopped listens all the same: the kernel takes connections for it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_TIMEOUT_SECONDS)
        try:
            probe.connect(str(socket_path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except (TimeoutError, BlockingIOError):
            return True  # Its queue of new connections is full.
    return True
