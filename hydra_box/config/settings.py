"""What an owner may set."""

from __future__ import annotations

from typing import Annotated

import msgspec

from hydra_box.types import Frozen

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
    body_memory_bytes: Count = 512 * 1024**2
    """All of them that are held at once: half of ``daemon_memory_alarm_bytes``, unless set."""
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
    head_timeout_seconds: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    """How long a client may take to send the headers of a request, and for a TLS handshake."""
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
