"""What ``doctor`` says of who else may read or change what is the box's alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hydra_box.config import Paths
from hydra_box.disk import nearest_existing
from hydra_box.doctor.findings import ERROR, INFO, WARNING, finding
from hydra_box.types import Finding

CHECK: Final = "permissions"


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


def check_permissions(paths: Paths) -> list[Finding]:
    """Directories and files that hold secrets: of this user, and closed to others."""
    try:
        found = [one for path in _private(paths) for one in _look(path)]
    except OSError as error:
        text = f"{error.filename} cannot be looked at: {error.strerror}"
        hint = f"run doctor as the user who owns {paths.home}"
        return [finding(CHECK, ERROR, text, hint)]
    return found or [finding(CHECK, INFO, "the database, keys and sockets are this user's alone")]


def _private(paths: Paths) -> Iterator[Path]:
    """What is there of it."""
    directories = (paths.run, paths.instances, paths.logs, paths.upstream_keys, paths.backups)
    for directory in directories:
        if directory.exists():
            yield directory
    for directory, pattern in (
        (paths.home, f"{paths.database.name}*"),
        (paths.home, f"{paths.usage_journal.name}.*"),
        (paths.upstream_keys, "*"),
        (paths.backups, "*.db"),
    ):
        yield from directory.glob(pattern)


def _look(path: Path) -> Iterator[Finding]:
    try:
        about = path.lstat()
    except FileNotFoundError:
        return  # The daemon replaces some of them all the time.
    if about.st_uid != os.getuid():
        hint = f"run as that user, or: chown -R {os.getuid()} {path}"
        yield finding(CHECK, ERROR, f"{path} belongs to the user {about.st_uid}", hint)
    elif about.st_mode & 0o077:
        mode = stat.S_IMODE(about.st_mode)
        wanted = "700" if path.is_dir() else "600"
        text = f"{path} has mode {mode:04o}, and should be this user's alone"
        yield finding(CHECK, WARNING, text, f"chmod {wanted} {path}")
