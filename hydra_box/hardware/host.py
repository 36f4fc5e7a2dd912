"""The machine without its GPUs: CPU, memory, disk."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

import psutil

from hydra_box.cgroup_memory import memory_room
from hydra_box.types import Frozen

FEATURES = (
    *("sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni"),
    *("avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimddp", "fphp", "bf16", "i8mm", "sve", "sve2", "sme"),
)
"""Flags of ``/proc/cpuinfo`` that engines have code for: x86-64, then arm64."""


class Cpu(Frozen, frozen=True, kw_only=True):
    """What does not change while the machine runs."""

    model: str
    features: tuple[str, ...]
    physical_cores: int
    logical_cores: int
    numa_nodes: int


class Room(Frozen, frozen=True, kw_only=True):
    """Memory and disk, now."""

    ram_total_bytes: int
    ram_available_bytes: int
    disk_total_bytes: int
    disk_free_bytes: int


def read_cpu() -> Cpu:
    """The CPU, and how many of its cores this process may use."""
    about = parse_cpuinfo(_read("/proc/cpuinfo"))
    flags = frozenset(about.get("flags", about.get("Features", "")).split())
    logical = len(os.sched_getaffinity(0))
    return Cpu(
        model=about.get("model name") or platform.machine(),
        features=tuple(one for one in FEATURES if one in flags),
        physical_cores=min(psutil.cpu_count(logical=False) or logical, logical),
        logical_cores=logical,
        numa_nodes=count_numa_nodes(),
    )


def parse_cpuinfo(text: str) -> dict[str, str]:
    """The fields of the first processor in ``/proc/cpuinfo``."""
    first, _, _ = text.strip().partition("\n\n")
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def count_numa_nodes(nodes: Path = Path("/sys/devices/system/node")) -> int:
    """NUMA nodes that have a CPU; the memory of some GPUs is a node without one."""
    found = sum(bool(_read(one / "cpulist").strip()) for one in nodes.glob("node[0-9]*"))
    return max(1, found)


def read_room(disk_path: Path) -> Room:
    """Memory with the limits of the control groups, and the disk of the nearest existing parent."""
    memory = psutil.virtual_memory()
    room = memory_room(_read("/proc/self/cgroup"))
    disk = shutil.disk_usage(
        next(one for one in (disk_path, *disk_path.absolute().parents) if one.exists())
    )
    return Room(
        ram_total_bytes=min(memory.total, room.limit_bytes) if room else memory.total,
        ram_available_bytes=(
            min(memory.available, room.available_bytes) if room else memory.available
        ),
        disk_total_bytes=disk.total,
        disk_free_bytes=disk.free,
    )


class CpuLoad:
    """How busy the cores were between two looks."""

    SHORTEST_SECONDS = 0.2
    """The kernel counts in hundredths of a second; over less, the quotient is noise."""

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None
        self._percent: float | None = None

    def percent(self) -> float | None:
        """Of all cores since the last look; None at the first one."""
        times = psutil.cpu_times()
        # Guests are counted in user time already; a CPU that waits for a disk is not busy.
        whole = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        idle = times.idle + getattr(times, "iowait", 0.0)
        if self._before is None:
            self._before = whole, idle
            return None
        passed = whole - self._before[0]
        if passed >= self.SHORTEST_SECONDS * (psutil.cpu_count() or 1):
            busy = passed - (idle - self._before[1])
            self._percent = round(min(100.0, max(0.0, 100 * busy / passed)), 1)
            self._before = whole, idle
        return self._percent


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # Not on this kernel; what it would tell has a default.
