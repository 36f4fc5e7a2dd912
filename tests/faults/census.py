"""What a box has of the machine: processes, sockets, directories, memory; and what is too much."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from hydra_box.process import BOX_VARIABLE
from tests.boxes import RunningBox


@dataclass(frozen=True)
class Census:
    """What the daemon and its engines have."""

    daemon_resident_bytes: int
    daemon_descriptors: int
    daemon_sockets: int
    daemon_threads: int
    processes: int
    """Of the box, without the daemon."""


def take_census(box: RunningBox) -> Census:
    """Count now."""
    daemon = psutil.Process(box.process.pid)
    return Census(
        daemon_resident_bytes=daemon.memory_info().rss,
        daemon_descriptors=daemon.num_fds(),
        daemon_sockets=_sockets(box.process.pid),
        daemon_threads=daemon.num_threads(),
        processes=len(list(processes_of(box))),
    )


def processes_of(box: RunningBox) -> Iterator[psutil.Process]:
    """Every process that has the box's id in its environment: engines, and what they started."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(BOX_VARIABLE) == str(box.home):
                yield process


def left_behind(box: RunningBox) -> list[str]:
    """What no instance has any more, while the daemon runs and nothing is being changed."""
    instances = [one for view in box.client.services() for one in view.instances]
    pids = {one.pid for one in instances}
    directories = {box.paths.instance_socket(one.id).parent for one in instances}
    logs = {box.paths.instance_log(one.id).name for one in instances}
    return [
        *(f"process {one.pid}" for one in processes_of(box) if not _belongs(one, pids)),
        *(f"zombie {pid}" for pid in _zombies(box.process.pid)),
        *(f"directory {one}" for one in box.paths.instances.iterdir() if one not in directories),
        *(
            f"log {one}"
            for one in box.paths.logs.glob("*-*.log*")
            if one.name.removesuffix(".1") not in logs
        ),
    ]


def left_by_the_dead(box: RunningBox) -> list[str]:
    """What is left of a box that was told to stop."""
    return [
        *(f"process {one.pid}" for one in processes_of(box)),
        *(f"socket {one}" for one in box.paths.run.glob("*.sock")),
    ]


def _belongs(process: psutil.Process, pids: set[int | None]) -> bool:
    try:
        return os.getpgid(process.pid) in pids
    except ProcessLookupError:
        return True


def _zombies(pid: int) -> Iterator[int]:
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() == psutil.STATUS_ZOMBIE:
                yield child.pid


def _sockets(pid: int) -> int:
    found = 0
    directory = f"/proc/{pid}/fd"
    for name in os.listdir(directory):  # noqa: PTH208 - thousands of them, a few times a second
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(f"{directory}/{name}").startswith("socket:")  # noqa: PTH115
    return found
