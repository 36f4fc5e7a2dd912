"""Settings (``config.toml``, then ``HYDRA_BOX_*`` in the environment) and the paths of the state.

The state directory is ``$HYDRA_BOX_HOME``; else ``/var/lib/hydra-box`` for the system service
(systemd names it in ``$STATE_DIRECTORY``); else ``$XDG_DATA_HOME/hydra-box``, which is
``~/.local/share/hydra-box`` unless set.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from hydra_box.errors import ConfigError, StateError
from hydra_box.types import Frozen

SOCKET_PATH_LIMIT_BYTES = 100
"""``sun_path`` holds 108 bytes; some are kept for the file's own name (unix(7))."""


class Settings(Frozen, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an owner may set; the names are the keys of ``config.toml``."""

    host: str = "127.0.0.1"
    port: int = 4937
    body_limit_bytes: int = 32 * 1024 * 1024
    """Largest request body the endpoint takes."""
    queue_limit: int = 512
    """Requests that may wait for a slot, for each service."""
    queue_timeout_seconds: float = 60.0
    """How long a request may wait for a slot."""
    drain_timeout_seconds: float = 30.0
    """How long requests under way may take to finish before an instance or the daemon stops."""
    load_stall_seconds: float = 120.0
    """How long a loading engine may stay silent, idle and not ready before it counts as hung."""
    log_limit_bytes: int = 10 * 1024 * 1024
    """Size at which an instance's log is rotated; one older file is kept."""


class Paths(Frozen, frozen=True, kw_only=True):
    """Where everything lives."""

    home: Path
    run: Path
    """Sockets, 0700; apart from ``home`` when that path is too long for a socket."""

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.home / "hydra-box.db"

    @property
    def config(self) -> Path:
        """The settings file; need not exist."""
        return self.home / "config.toml"

    @property
    def lock(self) -> Path:
        """Held by the daemon for its whole life; contains its pid."""
        return self.home / "daemon.lock"

    @property
    def management_socket(self) -> Path:
        """The management API for this user, 0600, no key needed."""
        return self.run / "daemon.sock"

    @property
    def instances(self) -> Path:
        """One directory an instance, 0700, each with the engine's socket."""
        return self.run / "instances"

    @property
    def logs(self) -> Path:
        """``daemon.log`` and one file an instance."""
        return self.home / "logs"

    @property
    def engines(self) -> Path:
        """Installed runtimes, each in an environment of its own."""
        return self.home / "engines"

    def instance_socket(self, instance_id: str) -> Path:
        """The socket that an instance's engine listens on; short, whatever the service's name."""
        return self.instances / instance_id.rpartition("-")[2] / "engine.sock"

    def instance_log(self, instance_id: str) -> Path:
        """What an instance's engine prints."""
        return self.logs / f"{instance_id}.log"

    def create(self) -> None:
        """Make the directories, private to this user.

        Raises:
            StateError: a directory cannot be made or written, or belongs to someone else.

        """
        for directory in (self.home, self.run, self.instances, self.logs, self.engines):
            _make_private(directory)


def resolve_home(environ: Mapping[str, str]) -> Path:
    """The state directory that this environment names."""
    if home := environ.get("HYDRA_BOX_HOME"):
        return Path(home).expanduser().absolute()
    if state := environ.get("STATE_DIRECTORY"):
        return Path(state)
    data = environ.get("XDG_DATA_HOME")
    base = Path(data) if data else Path.home() / ".local" / "share"
    return (base / "hydra-box").absolute()


def resolve_paths(environ: Mapping[str, str]) -> Paths:
    """The paths that this environment names; nothing is created."""
    home = resolve_home(environ)
    run = home / "run"
    longest = run / "instances" / "01234567" / "engine.sock"
    if len(os.fsencode(longest)) > SOCKET_PATH_LIMIT_BYTES:
        digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:8]
        run = Path(tempfile.gettempdir()) / f"hydra-box-{os.getuid()}-{digest}"
    return Paths(home=home, run=run)


def load_settings(paths: Paths, environ: Mapping[str, str]) -> Settings:
    """Settings from the file, overruled by the environment.

    Raises:
        ConfigError: names the file (or variable), the key, and the nearest valid key.

    """
    values: dict[str, Any] = {}
    if paths.config.exists():
        values |= _read_file(paths.config)
    for name in Settings.__struct_fields__:
        if (text := environ.get(f"HYDRA_BOX_{name.upper()}")) is not None:
            values[name] = text
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{paths.config} or HYDRA_BOX_*: {error}") from error


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for key in values:
        if key not in Settings.__struct_fields__:
            near = difflib.get_close_matches(key, Settings.__struct_fields__, n=1, cutoff=0.0)
            raise ConfigError(f"{path}: unknown key {key!r}", hint=f"the nearest is {near[0]!r}")
    return values


def _make_private(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.stat().st_uid != os.getuid():
            raise StateError(
                f"{directory} belongs to another user",
                hint="set HYDRA_BOX_HOME to a directory of your own",
            )
        directory.chmod(0o700)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise StateError(
            f"{directory} is not writable: {error.strerror}",
            hint="set HYDRA_BOX_HOME to a directory that you may write to",
        ) from error
