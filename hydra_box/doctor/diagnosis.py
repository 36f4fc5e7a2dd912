"""The diagnosis: every check, here or of a box elsewhere, in the order in which it is told."""

from __future__ import annotations

import time
from collections.abc import Mapping

from hydra_box.client import Client
from hydra_box.config import Paths, resolve_paths
from hydra_box.disk import nearest_existing
from hydra_box.doctor.clock import check_clock, follows_time_server
from hydra_box.doctor.daemon import ask_daemon, check_services, untold_attention
from hydra_box.doctor.database import check_database
from hydra_box.doctor.disks import check_disk_elsewhere, check_disks
from hydra_box.doctor.engines import (
    check_compiler,
    check_cuda_compiler,
    check_runtimes,
    check_unverified,
)
from hydra_box.doctor.gpus import check_gpus
from hydra_box.doctor.leftovers import check_leftovers, engine_processes
from hydra_box.doctor.listening import check_port, check_tls, check_url
from hydra_box.doctor.memory import check_ram
from hydra_box.doctor.permissions import check_permissions, check_socket, check_state_directory
from hydra_box.doctor.program import check_models, check_python, check_settings
from hydra_box.hardware import snapshot
from hydra_box.systemd.check import check_unit
from hydra_box.types import Finding


def diagnose(client: Client, environ: Mapping[str, str]) -> list[Finding]:
    """Everything worth knowing about the box on this machine.

    Args:
        client: asks the daemon, if one runs.
        environ: names the state directory, the settings and the toolchain.
    """
    paths = resolve_paths(environ)
    # Looked at before the daemon is asked: what starts in between is no leftover.
    processes = engine_processes(paths)
    box, daemon = ask_daemon(client, paths)
    settings, valid = check_settings(paths, environ)
    findings = [
        check_python(),
        check_state_directory(paths),
        *check_permissions(paths),
        valid,
        check_socket(paths, running=box is not None),
        daemon,
        *_database_and_clock(paths, running=box is not None),
    ]
    if settings is not None:
        findings += check_disks(paths, settings, environ)
        findings += check_tls(settings, environ)
    if box is None:
        machine = snapshot(nearest_existing(paths.home))
        findings += [check_port(settings)] if settings else []
        findings += check_unverified(paths, environ)
    else:
        machine = client.machine()
        findings.append(check_url(box.url))
        findings += check_runtimes(box, client.engines(), machine.gpus)
        findings += check_services(box)
    findings += check_gpus(machine, {one.pid for one in processes})
    findings.append(check_ram(machine))
    findings += check_models(paths)
    findings += [check_compiler(environ), *check_cuda_compiler(environ, machine.gpus)]
    findings += [check_unit(environ), check_leftovers(processes, box)]
    return findings + untold_attention(box, findings)


def diagnose_remote(client: Client) -> list[Finding]:
    """What a daemon on another machine knows of itself and of that machine."""
    box, daemon = ask_daemon(client, None)
    if box is None:
        return [daemon]
    machine = client.machine()
    findings = [daemon, *check_runtimes(box, client.engines(), machine.gpus), *check_services(box)]
    findings += [*check_gpus(machine, None), check_ram(machine), check_disk_elsewhere(machine)]
    return findings + untold_attention(box, findings)


def _database_and_clock(paths: Paths, *, running: bool) -> list[Finding]:
    found, newest_event = check_database(paths, running=running)
    clock = check_clock(time.time(), newest_event, synchronized=follows_time_server())
    return [*found, clock]
