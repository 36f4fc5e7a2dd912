"""What ``doctor`` says of who else may read or change what is the box's alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from hydra_box.config import Paths, Settings
from hydra_box.doctor_local import ERROR, INFO, WARNING, finding
from hydra_box.errors import ConfigError
from hydra_box.tls import find_tls_files, load_tls
from hydra_box.types import Finding

CHECK: Final = "permissions"


def check_permissions(paths: Paths) -> list[Finding]:
    """Directories and files that hold secrets: of this user, and closed to others."""
    try:
        found = [one for path in _private(paths) for one in _look(path)]
    except OSError as error:
        text = f"{error.filename} cannot be looked at: {error.strerror}"
        hint = f"run doctor as the user who owns {paths.home}"
        return [finding(CHECK, ERROR, text, hint)]
    return found or [finding(CHECK, INFO, "the database, keys and sockets are this user's alone")]


def check_tls(settings: Settings, environ: Mapping[str, str]) -> list[Finding]:
    """Whether certificate and key can be used, if there are any."""
    check = "TLS"
    try:
        files = find_tls_files(settings, environ)
        if files is None:
            return [finding(check, INFO, "no certificate: the endpoint is plain http")]
        _, warnings = load_tls(files)
    except ConfigError as error:
        return [finding(check, ERROR, error.message, error.hint)]
    parts = (one.partition("; hint: ") for one in warnings)
    troubled = [finding(check, WARNING, fact, hint or None) for fact, _, hint in parts]
    return troubled or [finding(check, INFO, f"{files.certificate} holds, and its key is private")]


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
