"""What ``doctor`` says of the disks on which the box keeps its state and its models."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hydra_box.config import Paths, Settings
from hydra_box.disk import nearest_existing
from hydra_box.doctor.findings import INFO, WARNING, finding
from hydra_box.models.hub_cache import cache_directory
from hydra_box.plan.words import gib, joined
from hydra_box.types import Finding, Machine

CHECK: Final = "disk"
LOW_DISK_BYTES: Final = 2 * 1024**3


def check_disks(paths: Paths, settings: Settings, environ: Mapping[str, str]) -> list[Finding]:
    """A finding for each disk; those of the state, the logs and the models may be one."""
    places = {
        "the state": paths.home,
        "the logs": paths.logs,
        "the models": cache_directory(environ, settings.model_directory, paths.home),
    }
    disks: dict[int, tuple[Path, list[str]]] = {}
    for what, path in places.items():
        there = nearest_existing(path)
        disks.setdefault(there.stat().st_dev, (there, []))[1].append(what)
    reserve = max(LOW_DISK_BYTES, settings.disk_reserve_bytes)
    return [_disk(path, whose, reserve) for path, whose in disks.values()]


def check_disk_elsewhere(machine: Machine) -> Finding:
    """The disk of the state, as a daemon on another machine tells of it."""
    text = f"{gib(machine.disk_free_bytes)} free of {gib(machine.disk_total_bytes)}"
    if machine.disk_free_bytes < LOW_DISK_BYTES:
        hint = "free some, or set HYDRA_BOX_HOME to a larger disk"
        return finding(CHECK, WARNING, text, hint)
    return finding(CHECK, INFO, text)


def _disk(path: Path, whose: list[str], reserve_bytes: int) -> Finding:
    room = shutil.disk_usage(path)
    text = f"{path} has {gib(room.free)} free of {gib(room.total)}, for {joined(whose)}"
    if room.free < reserve_bytes:
        hint = "free some; hydra-box models list shows what the models take"
        return finding(CHECK, WARNING, text, hint)
    return finding(CHECK, INFO, text)
