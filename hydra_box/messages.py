"""What the management API takes and answers, beside the structs of ``types.py``."""

from __future__ import annotations

from hydra_box.types import (
    Alternative,
    Correction,
    DownloadState,
    EngineName,
    ErrorBody,
    FactsSource,
    Frozen,
    Hosting,
    InstanceState,
    MeasuredMemory,
    Modality,
    ModelFile,
    Placement,
    PlanOutcome,
    Runtime,
    Scope,
    ServiceStatus,
    Shortfall,
    StoredAs,
    Transfer,
    WeightFormat,
)


class Request(Frozen, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every request body: an unknown field is an error, not a silent nothing."""


class PlanRequest(Request, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/plan``: what to plan for; what is None is chosen."""

    model: str
    """A catalog id, ``hf:org/repo[:file]``, a path, or ``demo``."""
    instances: int = 1
    context_length: int | None = None
    """Tokens each slot can hold."""
    concurrency: int | None = None
    """Slots in one instance."""
    engine: str | None = None
    """An engine's name."""
    quantization: str | None = None
    """``Q4_K_M``, ``AWQ``, ``BF16``: one of those on offer."""
    device: str | None = None
    """``cpu``: run on the CPU, although there is a GPU."""
    allow_code: bool = False
    """Let the model bring Python code, which the engine runs as this user."""


class DeployRequest(PlanRequest, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/services``; with ``?dry_run=true`` the answer is the plan."""

    name: str | None = None
    """The service's name; None: made from the model's."""
    public: bool = False


class PullRequest(Request, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/downloads``: a model to fetch, whatever serves it later."""

    model: str
    """A catalog id, or ``hf:org/repo[:file or quantisation][@revision]``."""
    quantization: str | None = None
    engine: str | None = None
    """Fetch what this engine reads."""
    allow_code: bool = False
    """Fetch the Python code that the repository brings, too: an engine runs it as this user."""


class ImportRequest(Request, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/library``: files on this machine that become one of its models."""

    path: str
    """A GGUF file (the first, of several) or a directory with safetensors; absolute."""
    copy: bool = False
    """Copy the files into the state directory; else they are used where they are."""
    name: str | None = None
    """What deploys it; None: made from the file's name."""
    projector: str | None = None
    """The GGUF file of its vision projector, where it lies apart."""


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


class DevicePlan(Frozen, frozen=True, kw_only=True):
    """One device of the machine in a plan; the bar that is drawn for it."""

    device: str
    """``cpu``, or a UUID."""
    name: str
    total_bytes: int
    others_bytes: int
    """Held by others now, or kept free for the system."""
    ours_bytes: int
    """Granted to instances of this box that run or start already."""
    predicted_bytes: int
    """What this plan adds."""
    available_bytes: int
    """What this plan could have taken."""


class PlanView(Frozen, frozen=True, kw_only=True):
    """The answer of ``POST /api/v1/plan`` and of every dry run."""

    fits: bool
    model: str
    outcome: PlanOutcome | None
    """None: it does not fit."""
    engine: EngineName | None
    quantization: str | None
    facts_source: FactsSource | None
    instances: int
    most_instances: int
    context_length: int | None
    slots: int | None
    download_bytes: int
    """What has to be fetched first; 0: it is on this machine."""
    devices: tuple[DevicePlan, ...]
    placements: tuple[Placement, ...]
    flags: tuple[str, ...]
    """The engine's command line for the first instance, without program and model path."""
    reasons: tuple[str, ...]
    correction: Correction | None = None
    """The correction that the estimate contains, if there is one."""
    missing: tuple[Shortfall, ...] = ()
    alternatives: tuple[Alternative, ...] = ()


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
    memory: tuple[MeasuredMemory, ...]
    """Predicted beside measured, once it is ready."""
    reason: str | None


class DownloadView(Frozen, frozen=True, kw_only=True):
    """A download, as shown."""

    id: str
    model: str
    repository: str
    revision: str
    format: WeightFormat
    quantization: str | None
    state: DownloadState
    files: tuple[ModelFile, ...]
    transfer: Transfer
    created_at: float
    finished_at: float | None
    reason: str | None
    services: tuple[str, ...]
    """Names of the services that wait for it."""


class StoredModelView(Frozen, frozen=True, kw_only=True):
    """A model of the library, as shown."""

    id: str
    name: str
    stored_as: StoredAs
    path: str
    format: WeightFormat
    quantization: str | None
    repository: str | None
    revision: str | None
    files: tuple[ModelFile, ...]
    size_bytes: int
    allows_code: bool
    added_at: float
    verified_at: float | None
    last_used_at: float | None
    problem: str | None
    services: tuple[str, ...]
    """Names of the services that it is served by."""


class RemovedModel(Frozen, frozen=True, kw_only=True):
    """The answer to removing a model of the library."""

    name: str
    freed_bytes: int


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
    quantization: str | None
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
    download: DownloadView | None = None
    """What it waits for, if its model is still being fetched."""


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
    """Engine name to the id of the runtime in use; None: none of its runtimes works. An engine that
    is not installed is not in it."""
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
    """A catalog entry as listed: the model, what this box would do with it, who uses it."""

    id: str
    name: str
    modality: Modality
    parameters: int | None
    active_parameters: int | None
    context_length: int
    publisher: str | None
    license: str | None
    gated: bool
    """Its publisher asks for a licence to be accepted on the hub."""
    description: str
    tags: tuple[str, ...]
    hosting: tuple[Hosting, ...]
    price_per_million_input_tokens: float | None
    price_per_million_output_tokens: float | None
    minimum_versions: dict[str, str]
    """Engine name to the oldest version that serves it."""
    repositories: tuple[str, ...]
    """On the hub."""
    quantizations: tuple[str, ...]
    """Those on offer, of both formats."""
    on_disk: bool
    fits: bool
    engine: EngineName | None
    quantization: str | None
    """What this box would serve."""
    device: str | None
    planned_context_length: int | None
    reason: str
    """Why it fits there, or why not; one sentence."""
    services: tuple[str, ...]
    """Names of the services whose base model it is."""
