"""Watches the machine without its GPUs: disks, memory, and what the daemon itself holds."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from hydra_box.alarms import Alarms
from hydra_box.disk import nearest_existing
from hydra_box.hardware.host import read_room
from hydra_box.plan.alarms import Bounds, Conditions, Disk, host_signs

log = logging.getLogger(__name__)

SCOPE = "machine."
PRESSURE = Path("/proc/pressure/memory")

_FULL = re.compile(r"^full .*?avg60=([0-9.]+)", re.MULTILINE)


class HostWatch:
    """Raises an alarm for what runs out.

    Args:
        alarms: where.
        bounds: when.
        read: how the machine is; blocking, in a thread.

    """

    def __init__(self, alarms: Alarms, bounds: Bounds, read: Callable[[], Conditions]) -> None:
        self._alarms = alarms
        self._bounds = bounds
        self._read = read

    async def look(self) -> None:
        """Look once."""
        try:
            found = await asyncio.to_thread(self._read)
        except OSError:
            log.exception("disks and memory could not be looked at")
            return
        self._alarms.hold(SCOPE, host_signs(found, self._bounds, self._alarms.raised()))


def read_conditions(places: Mapping[str, Path]) -> Conditions:
    """How the machine is now; ``places`` are directories of the box, by what they hold."""
    home = next(iter(places.values()))
    return Conditions(
        ram_available_bytes=read_room(home).ram_available_bytes,
        disks=_disks(places),
        memory_stalled_percent=stalled_percent(PRESSURE),
        daemon_bytes=psutil.Process().memory_info().rss,
    )


def stalled_percent(pressure: Path) -> float | None:
    """Of the last minute, when everything waited for memory; None: the kernel does not tell."""
    try:
        found = _FULL.search(pressure.read_text(encoding="ascii"))
    except OSError:
        return None  # A kernel without it, or one that keeps it off (psi=0).
    return None if found is None else float(found[1])


def _disks(places: Mapping[str, Path]) -> tuple[Disk, ...]:
    """The file systems of these directories, each once."""
    found: dict[int, Disk] = {}
    for holds, directory in places.items():
        path = nearest_existing(directory)
        number = path.stat().st_dev
        if number in found:
            continue
        free = shutil.disk_usage(path).free
        found[number] = Disk(holds=holds, path=str(path), free_bytes=free)
    return tuple(found.values())
