"""Services, the desired state; and instances, the actual one."""

from __future__ import annotations

from enum import IntEnum, StrEnum

from hydra_box.types.base import Frozen
from hydra_box.types.engines import EngineName
from hydra_box.types.plans import Placement
from hydra_box.types.usage import Price


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
    ASLEEP = "asleep"
    """Its process is there, and its engine has given the GPUs back."""
    DRAINING = "draining"
    STOPPING = "stopping"
    STOPPED = "stopped"
    BACKOFF = "backoff"
    FAILED = "failed"


class MakesRoom(IntEnum):
    """Which of a service's old instances end before their successors start."""

    NO = 0
    """None: there is room for both."""
    ONE_BY_ONE = 1
    """Each in its turn; but the last that serves goes on while a successor waits for room."""
    TO_THE_LAST = 2
    """Each, the last too: its owner lets nothing serve for a while."""


class User(Frozen, frozen=True, kw_only=True):
    """An owner of services and keys."""

    id: str
    """``u-`` and 12 hex digits."""
    name: str
    created_at: float
    disabled_at: float | None = None
    """Since when none of its keys opens anything."""


class Way(Frozen, frozen=True, kw_only=True):
    """How a service's instances run: all of it that a running process cannot take over.

    Each is the field of ``Service`` of that name.
    """

    engine: EngineName
    model_path: str
    quantization: str | None = None
    context_length: int
    slots: int
    on_cpu: bool = False
    download_id: str | None = None


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
    """Empty: it has no instances of its own, only upstreams; its ``engine`` is UPSTREAM then."""
    quantization: str | None = None
    engine: EngineName
    context_length: int
    """Tokens each slot can hold; 0: unknown, it has only upstreams."""
    slots: int
    """Concurrent sequences in one instance."""
    desired_instances: int
    on_cpu: bool = False
    """Its owner wants it on the CPU, whatever GPUs there are."""
    on_gpu: bool = False
    """It was planned on GPUs: when they are lost it waits for them, and never takes the CPU."""
    allows_code: bool = False
    """Its owner lets the model bring Python code, which the engine runs."""
    download_id: str | None = None
    """The download that brings its files; None: they were here."""
    idle_timeout_seconds: float | None = None
    """Without a request for so long it falls asleep, and the next one wakes it; None: never."""
    price: Price | None = None
    priority: int = 0
    """0 to 100: after a start of the machine, services of a higher one come back first."""
    previous: Way | None = None
    """What an edit replaced: kept until the new way has served for a while, gone back to if it
    does not."""
    makes_room: MakesRoom = MakesRoom.NO
    desired_state: DesiredState
    created_at: float


class MeasuredMemory(Frozen, frozen=True, kw_only=True):
    """What an instance took of one device, beside what was predicted."""

    device: str
    predicted_bytes: int
    measured_bytes: int
    """NVML's figure for its processes on a GPU; on the CPU their resident set, in which weights
    that are there twice count once."""
    reported_bytes: int | None = None
    """What the engine itself says in its log, where it does."""
    private_bytes: int | None = None
    """On the CPU: what of its memory was no page of a file, from which its growth is counted."""


class Instance(Frozen, frozen=True, kw_only=True):
    """One running (or to be run) engine process of a service: the actual state, one row."""

    id: str
    """``<service name>-<8 hex>``; names its socket, its log and its process."""
    service_id: str
    state: InstanceState
    device: str
    """``cpu``, or the UUIDs of GPUs joined by commas; empty until it is placed."""
    created_at: float
    pid: int | None = None
    process_created_at: float | None = None
    """Seconds from the machine's boot to the start of its process; with the pid it names it for
    good, whatever is done to the clock."""
    runtime_id: str | None = None
    """What its process runs, or last ran; None: its last start found no room for one."""
    way: Way | None = None
    """As its service was when its process was started; None: it never had one."""
    may_sleep: bool = False
    """Whether its process was started so that it can give its GPUs back and stay."""
    ready_at: float | None = None
    restarts: int = 0
    """How often its process was started again after it had died."""
    failures: int = 0
    """Deaths since it was last stable, and starts that found no room; drives the restart delay."""
    boots_without_ready: int = 0
    retry_at: float | None = None
    """When a BACKOFF ends."""
    placement: Placement | None = None
    """What it was granted when its process was started."""
    measured: tuple[MeasuredMemory, ...] = ()
    """What its process really took once it was ready, one for each device."""
    reason: str | None = None
    """Why it is in BACKOFF or FAILED: the fact, then the hint."""
