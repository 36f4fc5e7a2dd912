"""The vocabulary: every value that crosses a room's door, as frozen structs.

Units are in the names: ``_bytes``, ``_seconds``, ``_tokens``. A field that ends in ``_at`` is Unix
time in seconds, UTC. The same structs are rows, function results and JSON bodies of the
management API; those that only the management API has are in ``messages.py``.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class EngineName(StrEnum):
    """An inference engine that Hydra Box can run."""

    LLAMA_CPP = "llama.cpp"


class Accelerator(StrEnum):
    """What a runtime was built to compute on."""

    CPU = "cpu"
    CUDA = "cuda"


class RuntimeSource(StrEnum):
    """Where a runtime comes from."""

    BUNDLED = "bundled"
    BUILT = "built"
    PATH = "path"


class ServiceStatus(StrEnum):
    """What a service is doing, as the hosted product names it."""

    DEPLOYING = "DEPLOYING"
    RUNNING = "RUNNING"
    SCALING = "SCALING"
    STOPPED = "STOPPED"
    FAILED = "FAILED"
    DELETING = "DELETING"


class DesiredState(StrEnum):
    """What the owner wants of a service."""

    RUNNING = "running"
    STOPPED = "stopped"
    DELETED = "deleted"


class InstanceState(StrEnum):
    """Where one engine process is in its life; the arrows are in ``plan/lifecycle.py``."""

    PENDING = "pending"
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"
    STOPPED = "stopped"
    BACKOFF = "backoff"
    FAILED = "failed"


class Scope(StrEnum):
    """What a key may do: call models, or manage the box."""

    INFERENCE = "inference"
    ADMIN = "admin"


class Severity(StrEnum):
    """How much an event or a finding matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Frozen(Struct, frozen=True, kw_only=True):
    """Base of every value type."""


# --- models -----------------------------------------------------------------


class ModelSpec(Frozen, frozen=True, kw_only=True):
    """A base model that can be served: an entry of ``models.toml``, or a local path."""

    id: str
    name: str
    path: str
    architecture: str
    size_bytes: int
    context_length: int
    """Longest sequence the model was trained for, in tokens."""
    has_chat_template: bool
    quantization: str | None = None
    parameters: int | None = None
    license: str | None = None
    description: str = ""


# --- engines ----------------------------------------------------------------


class Runtime(Frozen, frozen=True, kw_only=True):
    """One installed build of an engine."""

    id: str
    """``<engine>/<source>-<version>-<accelerator>``, stable across restarts."""
    engine: EngineName
    version: str
    accelerator: Accelerator
    source: RuntimeSource
    location: str
    """The package, environment or program it runs from."""
    argv: tuple[str, ...]
    """The program and leading arguments that start its server."""
    verified_at: float | None = None
    """When it last answered on the demo model; None: never, it is not used."""
    problem: str | None = None
    """Why it cannot be used, if it cannot."""


class Launch(Frozen, frozen=True, kw_only=True):
    """Everything an engine adapter needs to start one instance."""

    instance_id: str
    access_name: str
    model_path: str
    socket_path: str
    context_length: int
    """Tokens each slot can hold."""
    slots: int
    device: str
    """``cpu``, or the UUID of a GPU."""


# --- desired state ----------------------------------------------------------


class User(Frozen, frozen=True, kw_only=True):
    """An owner of services and keys."""

    id: str
    """``u-`` and 12 hex digits."""
    name: str
    created_at: float


class Service(Frozen, frozen=True, kw_only=True):
    """A named endpoint that should exist: the desired state, one row."""

    id: str
    """``svc-`` and 12 hex digits."""
    name: str
    access_name: str
    """What a client puts in ``model``: ``public/<name>`` or ``u-<12 hex>/<name>``."""
    owner_id: str
    public: bool
    base_model: str
    """The MODEL as its owner gave it: a catalog id or a path."""
    model_path: str
    engine: EngineName
    context_length: int
    """Tokens each slot can hold."""
    slots: int
    """Concurrent sequences in one instance."""
    desired_instances: int
    desired_state: DesiredState
    created_at: float


# --- actual state -----------------------------------------------------------


class Instance(Frozen, frozen=True, kw_only=True):
    """One running (or to be run) engine process of a service: the actual state, one row."""

    id: str
    """``<service name>-<8 hex>``; names its socket, its log and its process."""
    service_id: str
    state: InstanceState
    device: str
    created_at: float
    pid: int | None = None
    process_created_at: float | None = None
    """The process's own start time; with the pid it names the process for good."""
    runtime_id: str | None = None
    ready_at: float | None = None
    restarts: int = 0
    """How often its process was started again after it had died."""
    failures: int = 0
    """Deaths since it was last stable; drives the restart delay."""
    boots_without_ready: int = 0
    retry_at: float | None = None
    """When a BACKOFF ends."""
    reason: str | None = None
    """Why it is in BACKOFF or FAILED: the fact, then the hint."""


class ProcessExit(Frozen, frozen=True, kw_only=True):
    """How an engine process ended. Both None: it was not our child, so nobody can know."""

    code: int | None = None
    signal: int | None = None


class ExitExplanation(Frozen, frozen=True, kw_only=True):
    """Why an engine process ended, read from its log."""

    fact: str
    hint: str | None = None

    def __str__(self) -> str:
        return self.fact if self.hint is None else f"{self.fact}; hint: {self.hint}"


# --- keys -------------------------------------------------------------------


class ApiKey(Frozen, frozen=True, kw_only=True):
    """A local API key, as stored: its secret is not in here, only the SHA-256 of it."""

    id: str
    """``key-`` and 12 hex digits."""
    name: str
    owner_id: str
    sha256: str
    """Of the whole key, hex."""
    masked: str
    """What may be shown: the first and the last four characters."""
    scopes: tuple[Scope, ...]
    created_at: float
    last_used_at: float | None = None
    revoked_at: float | None = None


# --- events -----------------------------------------------------------------


class Event(Frozen, frozen=True, kw_only=True):
    """Something that happened, for people and for screens."""

    id: int
    """Grows by one an event; 0 until it is stored."""
    at: float
    kind: str
    """``service.deployed``, ``instance.ready``, ``instance.exited`` and so on."""
    message: str
    severity: Severity = Severity.INFO
    service_id: str | None = None
    service_name: str | None = None
    instance_id: str | None = None


# --- this machine -----------------------------------------------------------


class Gpu(Frozen, frozen=True, kw_only=True):
    """One NVIDIA device, as NVML reports it now."""

    uuid: str
    index: int
    name: str
    total_bytes: int
    free_bytes: int
    utilization_percent: int | None
    temperature_celsius: int | None
    power_watts: float | None
    compute_capability: tuple[int, int] | None


class GpuCondition(StrEnum):
    """What became of the search for GPUs; never a silent "none"."""

    PRESENT = "present"
    NO_DRIVER = "no-driver"
    NO_DEVICE = "no-device"
    DRIVER_MISMATCH = "driver-mismatch"
    NO_PERMISSION = "no-permission"
    GPU_LOST = "gpu-lost"
    ERROR = "error"


class Machine(Frozen, frozen=True, kw_only=True):
    """What this machine has, and what of it is free now."""

    cpu_model: str
    physical_cores: int
    logical_cores: int
    ram_total_bytes: int
    ram_available_bytes: int
    """What can be allocated now, cgroup limits respected."""
    disk_total_bytes: int
    disk_free_bytes: int
    """Of the file system that holds the state directory."""
    gpu_condition: GpuCondition
    gpu_message: str
    """The condition in words, with a hint where there is something to do."""
    gpus: tuple[Gpu, ...] = ()
    driver_version: str | None = None
    cuda_version: str | None = None


class Finding(Frozen, frozen=True, kw_only=True):
    """One thing ``doctor`` looked at."""

    check: str
    severity: Severity
    message: str
    hint: str | None = None


# --- errors -----------------------------------------------------------------


class ErrorDetail(Frozen, frozen=True, kw_only=True):
    """The inside of an error answer, in OpenAI's shape."""

    message: str
    type: str
    code: str
    param: str | None = None


class ErrorBody(Frozen, frozen=True, kw_only=True, omit_defaults=True):
    """Every error answer, of both APIs."""

    error: ErrorDetail
    hint: str | None = None
