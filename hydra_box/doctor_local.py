"""What ``doctor`` looks at on this machine itself, whether or not a daemon runs."""

from __future__ import annotations

import contextlib
import os
import platform
import socket
import stat
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import psutil

from hydra_box import __version__
from hydra_box.catalog import Catalog
from hydra_box.config import Paths, Settings, load_settings
from hydra_box.disk import nearest_existing
from hydra_box.errors import ConfigError, HydraError
from hydra_box.messages import BoxStatus
from hydra_box.process import INSTANCE_VARIABLE, find_leftovers
from hydra_box.sockets import listen
from hydra_box.types import Finding, Severity

INFO, WARNING, ERROR = Severity.INFO, Severity.WARNING, Severity.ERROR

REACH_SECONDS: Final = 5.0


def finding(check: str, severity: Severity, message: str, hint: str | None = None) -> Finding:
    """One finding."""
    return Finding(check=check, severity=severity, message=message, hint=hint)


def check_python() -> Finding:
    """What Hydra Box runs on."""
    return finding(
        "python",
        INFO,
        f"Hydra Box {__version__} on {platform.python_implementation()} "
        f"{platform.python_version()}, {platform.system()} {platform.machine()}",
    )


def check_settings(paths: Paths, environ: Mapping[str, str]) -> tuple[Settings | None, Finding]:
    """The settings, if they are valid."""
    check = "settings"
    try:
        settings = load_settings(paths, environ)
    except HydraError as error:
        return None, finding(check, ERROR, error.message, error.hint)
    except OSError as error:
        return None, finding(check, ERROR, f"{paths.config}: {error.strerror}")
    where = f"from {paths.config}" if paths.config.exists() else "the defaults"
    return settings, finding(check, INFO, f"valid, {where}")


def check_state_directory(paths: Paths) -> Finding:
    """Whether the daemon can keep its state, and nobody else can read it."""
    check, home = "state directory", paths.home
    where = nearest_existing(home)
    if not (where.is_dir() and os.access(where, os.W_OK | os.X_OK)):
        hint = "set HYDRA_BOX_HOME to a directory that you may write to"
        return finding(check, ERROR, f"{where} is not writable for this user", hint)
    if where != home:
        return finding(check, INFO, f"{home} does not exist yet; the daemon makes it")
    about = home.stat()
    if about.st_uid != os.getuid():
        hint = "run as that user, or set HYDRA_BOX_HOME to a directory of your own"
        return finding(check, ERROR, f"{home} belongs to the user {about.st_uid}", hint)
    if about.st_mode & 0o077:
        mode = stat.S_IMODE(about.st_mode)
        text = f"{home} has mode {mode:04o}: other users can look into it"
        return finding(check, WARNING, text, f"chmod 700 {home}")
    return finding(check, INFO, f"{home} is private and writable")


def check_socket(paths: Paths, *, running: bool) -> Finding:
    """Whether the management socket is this user's alone."""
    check, path = "socket", paths.management_socket
    try:
        about = path.stat()
    except OSError:
        return finding(check, INFO, f"{path}, when the daemon runs")
    if mode := stat.S_IMODE(about.st_mode) & 0o077:
        text = f"{path} has mode {mode | 0o600:04o}: other users can manage this box"
        return finding(check, ERROR, text, f"chmod 600 {path}")
    if not running:
        return finding(check, INFO, f"{path} was left by a daemon that is gone; it is replaced")
    return finding(check, INFO, f"{path} is this user's alone")


def check_models(paths: Paths) -> list[Finding]:
    """Whether the catalog can be read, and its models; above all the demo model."""
    try:
        catalog = Catalog.load(paths)
        demo = catalog.resolve("demo")
    except ConfigError as error:
        return [finding("catalog", ERROR, error.message, error.hint)]
    except OSError as error:
        return [finding("catalog", ERROR, f"{paths.home}: {error.strerror}")]
    except HydraError as error:
        hint = "install hydra-box again: its demo model is part of it"
        return [finding("demo model", ERROR, error.message, hint)]
    text = f"{demo.name}, {demo.offers[0].facts.size_bytes / 1024**2:.1f} MiB"
    problems = [finding("catalog", WARNING, problem) for problem in catalog.problems()]
    return [finding("demo model", INFO, text), *problems]


def check_port(settings: Settings) -> Finding:
    """Whether a daemon could listen; only to be asked where none of ours does."""
    try:
        with listen(settings.host, settings.port):
            return finding("port", INFO, f"port {settings.port} on {settings.host} is free")
    except HydraError as error:
        return finding("port", ERROR, error.message, error.hint)


def check_url(url: str) -> Finding:
    """Whether the daemon can be reached where it says that it answers."""
    check, address = "port", urlsplit(url)
    try:
        with socket.create_connection((address.hostname or "", address.port or 0), REACH_SECONDS):
            return finding(check, INFO, f"{url} can be reached from here")
    except OSError as error:
        text = f"{url} cannot be reached from this machine: {error.strerror or error}"
        hint = "look for a firewall's rule, and for an address that the machine lost"
        return finding(check, ERROR, text, hint)


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
