"""Settings (``config.toml``, then ``HYDRA_BOX_*`` in the environment) and the paths of the state.

The state directory is ``$HYDRA_BOX_HOME``; else ``/var/lib/hydra-box`` for the system service
(systemd names it in ``$STATE_DIRECTORY``); else ``$XDG_DATA_HOME/hydra-box``, which is
``~/.local/share/hydra-box`` unless set. Who has no such directory and may look into that of the
system service means that one.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import stat
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from hydra_box.errors import ConfigError, StateError
from hydra_box.types import Frozen

SOCKET_PATH_LIMIT_BYTES = 100
"""``sun_path`` holds 108 bytes; some are kept for the file's own name (unix(7))."""

SYSTEM_HOME = Path("/var/lib/hydra-box")
"""The state directory of the system service."""

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Settings(Frozen, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an owner may set; the names are the keys of ``config.toml``."""

    host: Annotated[str, msgspec.Meta(min_length=1)] = "127.0.0.1"
    port: Port = 4937
    tls_certificate: str = ""
    """File with the certificate and its chain, PEM; with ``tls_key`` the box speaks https."""
    tls_key: str = ""
    """File with the certificate's key, PEM, without a passphrase."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names of this box that a Host header may have: those of a reverse proxy."""
    allowed_origins: tuple[str, ...] = ()
    """Web pages that may call this box from a browser: ``https://chat.example``."""
    body_limit_bytes: Count = 32 * 1024 * 1024
    """Largest request body the endpoint takes."""
    choices_limit: Annotated[int, msgspec.Meta(ge=1, le=128)] = 128
    """Largest ``n`` of a request, and answers that it may ask for to all of its prompts."""
    remote_media: bool = False
    """Whether requests may name images and sound of the web, which the box then fetches."""
    media_limit: Annotated[int, msgspec.Meta(ge=0)] = 16
    """Images, sounds and films in one request."""
    media_limit_bytes: Count = 20 * 1024 * 1024
    """Largest of them, decoded."""
    connection_limit: Count = 4096
    """Connections of clients at once."""
    header_limit: Count = 100
    """Headers of a request."""
    header_limit_bytes: Count = 32 * 1024
    """All of them together."""
    url_limit_bytes: Count = 8 * 1024
    """Longest path and query."""
    head_timeout_seconds: Seconds = 20.0
    """How long a client may take to send the headers of a request."""
    body_timeout_seconds: Seconds = 300.0
    """How long it may take to send its body."""
    idle_timeout_seconds: Count = 60
    """How long a connection may stay open between two requests."""
    queue_limit: Annotated[int, msgspec.Meta(ge=0)] = 512
    """Requests that may wait for a slot, for each service."""
    queue_timeout_seconds: Seconds = 60.0
    """How long a request may wait for a slot."""
    wake_timeout_seconds: Seconds = 300.0
    """How long a request may wait for a service that wakes, if it does not prefer less."""
    key_concurrency_limit: Count = 256
    """Requests that one key may have running or waiting."""
    drain_timeout_seconds: Seconds = 30.0
    """How long requests under way may take to finish before an instance or the daemon stops."""
    load_stall_seconds: Seconds = 120.0
    """How long a loading engine may stay silent, idle and not ready before it counts as hung."""
    hang_timeout_seconds: Seconds = 60.0
    """How long an engine that is asked may give no token and do no work; 0: for ever."""
    busy_hang_timeout_seconds: Seconds = 1800.0
    """How long it may give no token while it works, as on a long prompt."""
    probe_interval_seconds: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """Without an answer for so long an instance is asked for one token."""
    memory_growth_percent: Count = 25
    """How much more than its budget an instance may hold before that is told."""
    memory_reserve_bytes: Annotated[int, msgspec.Meta(ge=0)] = 512 * 1024**2
    """RAM that has to stay available: under it, an instance that has outgrown its budget goes."""
    daemon_memory_alarm_bytes: Count = 1024**3
    """What the daemon itself may hold before that is told."""
    disk_alarm_bytes: Annotated[int, msgspec.Meta(ge=0)] = 1024**3
    """A disk with less room than this is told; 0: never."""
    clock_jump_seconds: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    """A clock that is set by more than this at once is told."""
    restarts_alarm_count: Count = 5
    """A service whose engines die so often within an hour is told."""
    load_parallelism: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Engines that may load at once; 0: one for every four CPU cores, at least one."""
    model_directory: str = ""
    """Where models from the hub are kept; empty: the hub's own cache of this user."""
    download_jobs: Count = 2
    """Downloads that run at once; the others wait in the queue."""
    download_connections: Count = 8
    """Connections of one download."""
    download_limit_bytes_per_second: Annotated[int, msgspec.Meta(ge=0)] = 0
    """For all downloads together; 0: no limit."""
    disk_reserve_bytes: Annotated[int, msgspec.Meta(ge=0)] = 2 * 1024**3
    """Room on the disk that downloads and copies leave free."""
    log_limit_bytes: Count = 10 * 1024 * 1024
    """Size at which an instance's log is rotated; one older file is kept."""
    currency: Annotated[str, msgspec.Meta(max_length=12)] = ""
    """What prices are in, as it is shown after them: ``EUR``."""
    backup_count: Count = 7
    """How many of its own daily backups of the database the box keeps."""
    usage_requests_days: Count = 30
    """How long every single request is kept; what they used together is kept for good."""
    usage_minutes_days: Count = 2
    """After so long the minutes of usage become hours."""
    usage_hours_days: Count = 400
    """After so long its hours become days of UTC."""
    metrics_per_key: bool = False
    """Whether /metrics has a series for each key, also when it is not asked for them."""

    @property
    def address(self) -> str:
        """Host and port in one, to compare."""
        return f"{self.host} {self.port}"


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

    @property
    def usage_journal(self) -> Path:
        """Requests that the database does not have yet; how the names of its segments begin."""
        return self.home / "usage-journal"

    @property
    def backups(self) -> Path:
        """The box's own copies of the database, and what a restore has set aside; 0700."""
        return self.home / "backups"

    @property
    def catalog(self) -> Path:
        """The owner's additions to the catalog; need not exist."""
        return self.home / "models.toml"

    @property
    def upstream_keys(self) -> Path:
        """The keys of upstreams, 0700: one file each, 0600."""
        return self.home / "upstreams"

    @property
    def imported(self) -> Path:
        """Models that were imported: one directory each, of copies or of links."""
        return self.home / "models"

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
        parts = (self.logs, self.engines, self.upstream_keys, self.backups)
        for directory in (self.home, self.run, self.instances, *parts):
            _make_private(directory)


def resolve_home(environ: Mapping[str, str]) -> Path:
    """The state directory that this environment names.

    Raises:
        StateError: it needs the user's home directory, and that is not known.

    """
    try:
        if home := environ.get("HYDRA_BOX_HOME"):
            return Path(home).expanduser().absolute()
        if state := environ.get("STATE_DIRECTORY"):
            return Path(state)
        if data := environ.get("XDG_DATA_HOME"):
            return Path(data).absolute() / "hydra-box"
        user = Path(environ.get("HOME") or Path.home())
        own = user.absolute() / ".local" / "share" / "hydra-box"
    except RuntimeError as error:
        raise StateError(
            "the home directory of this user is not known",
            hint="set HYDRA_BOX_HOME to the full path of a directory of your own",
        ) from error
    # Who may look into it, as root and the service's own account, means the system's service.
    return own if own.exists() or not os.access(SYSTEM_HOME, os.X_OK) else SYSTEM_HOME


def resolve_paths(environ: Mapping[str, str]) -> Paths:
    """The paths that this environment names; nothing is created.

    Raises:
        StateError: it needs the user's home directory, and that is not known.

    """
    home = resolve_home(environ)
    run = home / "run"
    longest = run / "instances" / "01234567" / "engine.sock"
    if len(os.fsencode(longest)) > SOCKET_PATH_LIMIT_BYTES:
        digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:8]
        # Not $TMPDIR: it may be long as well, and another shell of the same user has another.
        run = Path("/tmp") / f"hydra-box-{os.getuid()}-{digest}"  # noqa: S108 - owner is checked
    return Paths(home=home, run=run)


def load_settings(paths: Paths, environ: Mapping[str, str]) -> Settings:
    """Settings from the file, overruled by the environment.

    Raises:
        ConfigError: names the file and the key, or the variable; and for an unknown key the
            nearest valid one.

    """
    given = {key: (f"{paths.config}: {key}", it) for key, it in _read_file(paths.config).items()}
    for name in Settings.__struct_fields__:
        variable = f"HYDRA_BOX_{name.upper()}"
        if (text := environ.get(variable)) is not None:
            given[name] = (variable, text)
    types = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    return Settings(**{name: _convert(*given[name], types[name]) for name in given})


def _convert(source: str, value: object, type: Any) -> Any:
    if type == tuple[str, ...] and isinstance(value, str):
        value = [one.strip() for one in value.split(",") if one.strip()]
    try:
        return msgspec.convert(value, type, strict=False)
    except msgspec.ValidationError as error:
        shown = str(value)[:100]
        raise ConfigError(f"{source} cannot be {shown!r}: {str(error).lower()}") from error


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for key in values:
        if key not in Settings.__struct_fields__:
            near = difflib.get_close_matches(key, Settings.__struct_fields__, n=1, cutoff=0.0)
            raise ConfigError(f"{path}: unknown key {key!r}", hint=f"the nearest is {near[0]!r}")
    return values


def _make_private(directory: Path) -> None:
    """Make the directory, 0700. One that stands already is checked and not changed."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise StateError(
            f"{directory} is not writable: {error.strerror}",
            hint="set HYDRA_BOX_HOME to a directory that you may write to",
        ) from error
    if found.st_uid != os.getuid():
        raise StateError(
            f"{directory} belongs to another user",
            hint="set HYDRA_BOX_HOME to a directory of your own",
        )
    if found.st_mode & stat.S_IWOTH:
        mode = stat.S_IMODE(found.st_mode)
        raise StateError(
            f"{directory} can be written by every user (mode {mode:04o})",
            hint=f"chmod 700 {directory}, or set HYDRA_BOX_HOME to a directory of your own",
        )
