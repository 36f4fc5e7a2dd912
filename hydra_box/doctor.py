"""What is wrong with this box, and what to do about it; works with and without a daemon.

Every check returns findings: INFO is fine, WARNING limits something, ERROR stops something.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Mapping
from typing import Final

from hydra_box import __version__
from hydra_box import doctor_local as here
from hydra_box.client import Client
from hydra_box.config import Paths, resolve_paths
from hydra_box.disk import nearest_existing
from hydra_box.doctor_clock import check_clock, follows_time_server
from hydra_box.doctor_database import check_database
from hydra_box.doctor_disks import LOW_DISK_BYTES, check_disks
from hydra_box.doctor_engines import (
    check_compiler,
    check_cuda_compiler,
    check_runtimes,
    check_unverified,
)
from hydra_box.doctor_gpus import check_gpus
from hydra_box.doctor_local import ERROR, INFO, WARNING, finding
from hydra_box.doctor_permissions import check_permissions, check_tls
from hydra_box.errors import DaemonUnreachable, HydraError
from hydra_box.hardware import snapshot
from hydra_box.messages import BoxStatus
from hydra_box.systemd.check import check_unit
from hydra_box.types import Finding, Machine

GIB: Final = 1024**3
LOW_RAM_BYTES: Final = GIB


def diagnose(client: Client, environ: Mapping[str, str]) -> list[Finding]:
    """Everything worth knowing about the box on this machine.

    Args:
        client: asks the daemon, if one runs.
        environ: names the state directory, the settings and the toolchain.
    """
    paths = resolve_paths(environ)
    # Looked at before the daemon is asked: what starts in between is no leftover.
    processes = here.engine_processes(paths)
    box, daemon = _daemon(client, paths)
    settings, valid = here.check_settings(paths, environ)
    findings = [
        here.check_python(),
        here.check_state_directory(paths),
        *check_permissions(paths),
        valid,
        here.check_socket(paths, running=box is not None),
        daemon,
        *_database_and_clock(paths, running=box is not None),
    ]
    if settings is not None:
        findings += check_disks(paths, settings, environ)
        findings += check_tls(settings, environ)
    if box is None:
        machine = snapshot(nearest_existing(paths.home))
        findings += [here.check_port(settings)] if settings else []
        findings += check_unverified(paths, environ)
    else:
        machine = client.machine()
        findings.append(here.check_url(box.url))
        findings += check_runtimes(box, client.engines(), machine.gpus)
        findings += _services(box)
    findings += check_gpus(machine, {one.pid for one in processes})
    findings.append(_ram(machine))
    findings += here.check_models(paths)
    findings += [check_compiler(environ), *check_cuda_compiler(environ, machine.gpus)]
    findings += [check_unit(environ), here.check_leftovers(processes, box)]
    return findings + _attention(box, findings)


def diagnose_remote(client: Client) -> list[Finding]:
    """What a daemon on another machine knows of itself and of that machine."""
    box, daemon = _daemon(client, None)
    if box is None:
        return [daemon]
    machine = client.machine()
    findings = [daemon, *check_runtimes(box, client.engines(), machine.gpus), *_services(box)]
    findings += [*check_gpus(machine, None), _ram(machine), _disk(machine)]
    return findings + _attention(box, findings)


def _database_and_clock(paths: Paths, *, running: bool) -> list[Finding]:
    found, newest_event = check_database(paths, running=running)
    clock = check_clock(time.time(), newest_event, synchronized=follows_time_server())
    return [*found, clock]


# --- the daemon ------------------------------------------------------------------


def _daemon(client: Client, paths: Paths | None) -> tuple[BoxStatus | None, Finding]:
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


def _services(box: BoxStatus) -> list[Finding]:
    troubled = [
        finding("service", ERROR, one.message, one.hint)
        for one in box.attention
        if one.service_name is not None
    ]
    return troubled or [finding("services", INFO, f"{len(box.services)}, none needs attention")]


def _attention(box: BoxStatus | None, findings: list[Finding]) -> list[Finding]:
    """What the daemon has seen beside services, and nobody has told yet."""
    told = {one.message for one in findings}
    return [
        finding("attention", WARNING, one.message, one.hint)
        for one in (() if box is None else box.attention)
        if one.service_name is None and one.message not in told
    ]


# --- the machine -----------------------------------------------------------------


def _ram(machine: Machine) -> Finding:
    text = (
        f"{machine.ram_available_bytes / GIB:.1f} GiB available "
        f"of {machine.ram_total_bytes / GIB:.1f} GiB"
    )
    if machine.ram_available_bytes < LOW_RAM_BYTES:
        return finding("memory", WARNING, text, "stop what is not needed; models need more")
    return finding("memory", INFO, text)


def _disk(machine: Machine) -> Finding:
    text = (
        f"{machine.disk_free_bytes / GIB:.1f} GiB free of {machine.disk_total_bytes / GIB:.1f} GiB"
    )
    if machine.disk_free_bytes < LOW_DISK_BYTES:
        hint = "free some, or set HYDRA_BOX_HOME to a larger disk"
        return finding("disk", WARNING, text, hint)
    return finding("disk", INFO, text)
