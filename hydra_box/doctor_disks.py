"""What ``doctor`` says of the disks on which the box keeps its state and its models."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hydra_box.config import Paths, Settings
from hydra_box.disk import nearest_existing
from hydra_box.doctor_local import INFO, WARNING, finding
from hydra_box.models.hub_cache import cache_directory
from hydra_box.plan.words import gib, joined
from hydra_box.types import Finding

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


def _disk(path: Path, whose: list[str], reserve_bytes: int) -> Finding:
    room = shutil.disk_usage(path)
    text = f"{path} has {gib(room.free)} free of {gib(room.total)}, for {joined(whose)}"
    if room.free < reserve_bytes:
        hint = "free some; hydra-box models list shows what the models take"
        return finding(CHECK, WARNING, text, hint)
    return finding(CHECK, INFO, text)
