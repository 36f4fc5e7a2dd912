"""What ``doctor`` says of engine processes that no daemon owns any more."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import psutil

from hydra_box.config import Paths
from hydra_box.doctor.findings import ERROR, INFO, finding
from hydra_box.messages import BoxStatus
from hydra_box.process import INSTANCE_VARIABLE, find_leftovers
from hydra_box.types import Finding


def engine_processes(paths: Paths) -> dict[psutil.Process, str]:
    """Every engine process of this box, whoever owns it, with its instance's id."""
    found = {}
    for process in find_leftovers(paths.home):
        with contextlib.suppress(psutil.Error, KeyError):
            found[process] = process.environ()[INSTANCE_VARIABLE]
    return found


def check_leftovers(processes: Mapping[psutil.Process, str], box: BoxStatus | None) -> Finding:
    """Engine processes that no daemon owns any more."""
    left = {
        process.pid: instance_id
        for process, instance_id in processes.items()
        if process.is_running() and not _is_owned(process, instance_id, box)
    }
    if not left:
        return finding("leftovers", INFO, "no engine process without a daemon")
    processes_left = "1 engine process" if len(left) == 1 else f"{len(left)} engine processes"
    named = ", ".join(f"{pid} ({instance_id})" for pid, instance_id in left.items())
    kill = f"kill {' '.join(map(str, left))}"
    hint = kill if box else f"hydra-box serve takes over those that serve; or: {kill}"
    text = f"{processes_left} without a daemon: {named}"
    return finding("leftovers", ERROR, text, hint)


def _is_owned(process: psutil.Process, instance_id: str, box: BoxStatus | None) -> bool:
    """Whether the daemon knows the instance, or has started the process (to verify a runtime)."""
    if box is None:
        return False
    if any(instance_id == one.id for view in box.services for one in view.instances):
        return True
    try:
        return any(parent.pid == box.pid for parent in process.parents())
    except psutil.NoSuchProcess:
        return True
