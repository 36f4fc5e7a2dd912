"""What the management API takes and answers, beside the structs of ``types.py``."""

from __future__ import annotations

from hydra_box.types import (
    EngineName,
    ErrorBody,
    Frozen,
    InstanceState,
    ModelSpec,
    Runtime,
    Scope,
    ServiceStatus,
)


class Request(Frozen, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every request body: an unknown field is an error, not a silent nothing."""


class DeployRequest(Request, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/services``."""

    model: str
    """A catalog id, a path, or ``demo``."""
    name: str | None = None
    """The service's name; None: made from the model's."""
    public: bool = False
    instances: int = 1
    context_length: int | None = None
    """Tokens each slot can hold; None: the model's trained context, at most 8,192."""
    concurrency: int | None = None
    """Slots in one instance; None: 4."""
    engine: str | None = None
    """An engine's name; None: chosen."""


class ScaleRequest(Request, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/services/{name}/scale``: exactly one of the two."""

    instances: int | None = None
    """The target number."""
    add: int | None = None
    """How many more (fewer, if negative)."""


class CreateKeyRequest(Request, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/keys``."""

    name: str
    scopes: tuple[Scope, ...] = (Scope.INFERENCE,)


class InstallEngineRequest(Request, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/engines/install``."""

    engine: str


class ServiceStats(Frozen, frozen=True, kw_only=True):
    """What the gateway counted for a service since the daemon started."""

    requests: int = 0
    requests_in_flight: int = 0
    requests_queued: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    last_ttft_seconds: float | None = None


class InstanceView(Frozen, frozen=True, kw_only=True):
    """An instance, as shown."""

    id: str
    pid: int | None
    state: InstanceState
    device: str
    restarts: int
    requests_in_flight: int
    slots: int
    runtime: str | None
    uptime_seconds: float | None
    reason: str | None


class ServiceView(Frozen, frozen=True, kw_only=True):
    """A service with its instances, as shown."""

    id: str
    name: str
    access_name: str
    owner_id: str
    public: bool
    status: ServiceStatus
    base_model: str
    engine: EngineName
    context_length: int
    slots: int
    desired_instances: int
    ready_instances: int
    instances: tuple[InstanceView, ...]
    created_at: float
    stats: ServiceStats
    reason: str | None = None
    """Why it is not RUNNING, when there is something to say."""
    progress: str | None = None
    """What it is doing while it deploys or scales."""


class KeyView(Frozen, frozen=True, kw_only=True):
    """A key, as listed: never its secret."""

    id: str
    name: str
    owner_id: str
    masked: str
    scopes: tuple[Scope, ...]
    created_at: float
    last_used_at: float | None
    revoked_at: float | None


class CreatedKey(Frozen, frozen=True, kw_only=True):
    """The answer to creating a key, the one time its secret is shown."""

    key: str
    id: str
    name: str
    owner_id: str
    masked: str
    scopes: tuple[Scope, ...]
    created_at: float


class Attention(Frozen, frozen=True, kw_only=True):
    """One line of "needs attention"."""

    message: str
    hint: str | None = None
    service_name: str | None = None


class BoxStatus(Frozen, frozen=True, kw_only=True):
    """The answer of ``GET /api/v1/status``."""

    version: str
    pid: int
    url: str
    started_at: float
    state_directory: str
    user_id: str
    """The local user that owns what is deployed without saying otherwise."""
    runtimes: dict[str, str | None]
    """Engine name to the id of the runtime in use; None: no usable runtime."""
    services: tuple[ServiceView, ...]
    attention: tuple[Attention, ...]


class InstallProgress(Frozen, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the stream that answers ``POST /api/v1/engines/install``.

    Exactly one field is set; the last line of a stream has ``runtime`` or ``error``.
    """

    line: str | None = None
    """What the installer printed."""
    runtime: Runtime | None = None
    error: ErrorBody | None = None


class ModelView(Frozen, frozen=True, kw_only=True):
    """A catalog entry as listed: the spec, and the services that use it."""

    spec: ModelSpec
    services: tuple[str, ...]
    """Names of the services whose base model it is."""
