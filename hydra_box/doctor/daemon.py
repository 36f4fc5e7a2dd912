"""What ``doctor`` hears from the daemon, or why it hears nothing."""

from __future__ import annotations

import fcntl

from hydra_box import __version__
from hydra_box.client import Client
from hydra_box.config import Paths
from hydra_box.doctor.findings import ERROR, INFO, WARNING, finding
from hydra_box.errors import DaemonUnreachable, HydraError
from hydra_box.messages import BoxStatus
from hydra_box.types import Finding


def ask_daemon(client: Client, paths: Paths | None) -> tuple[BoxStatus | None, Finding]:
    """What the daemon says of itself; ``paths`` are those of a daemon on this machine.

    1. It answers with this program's version, or with another.
    2. It refuses this client.
    3. It does not answer: it hangs or is starting (its lock is held), or none runs.
    """
    check = "daemon"
    try:
        box = client.status()
    except DaemonUnreachable as error:
        if paths is None:
            return None, finding(check, ERROR, error.message, error.hint)
        if (pid := _lock_holder(paths)) is not None:
            text = f"a daemon, pid {pid}, holds {paths.home} and does not answer"
            hint = f"if it is not just starting, read {paths.logs / 'daemon.log'}; kill {pid}"
            return None, finding(check, ERROR, text, hint)
        hint = "hydra-box serve starts it; hydra-box quickstart goes to a first answer"
        return None, finding(check, INFO, "none runs", hint)
    except HydraError as error:
        return None, finding(check, ERROR, error.message, error.hint)
    text = f"answers at {box.url}, pid {box.pid}, version {box.version}"
    if box.version != __version__:
        hint = f"restart it to run version {__version__}"
        return box, finding(check, WARNING, text, hint)
    return box, finding(check, INFO, text)


def check_services(box: BoxStatus) -> list[Finding]:
    """Services that need attention."""
    troubled = [
        finding("service", ERROR, one.message, one.hint)
        for one in box.attention
        if one.service_name is not None
    ]
    return troubled or [finding("services", INFO, f"{len(box.services)}, none needs attention")]


def untold_attention(box: BoxStatus | None, findings: list[Finding]) -> list[Finding]:
    """What the daemon has seen beside services, and nobody has told yet."""
    told = {one.message for one in findings}
    return [
        finding("attention", WARNING, one.message, one.hint)
        for one in (() if box is None else box.attention)
        if one.service_name is None and one.message not in told
    ]


def _lock_holder(paths: Paths) -> str | None:
    """The pid of the process that holds the state directory, if one does."""
    try:
        with paths.lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip() or "unknown"
    except OSError:
        return None
    return None
