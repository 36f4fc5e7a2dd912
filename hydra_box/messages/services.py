"""Services and instances: what is asked of them, and how they are shown."""

from __future__ import annotations

from hydra_box.messages.attention import Attention
from hydra_box.messages.base import Request
from hydra_box.messages.models import DownloadView
from hydra_box.messages.plans import PlanRequest
from hydra_box.messages.upstreams import UpstreamRequest, UpstreamView
from hydra_box.types import (
    EngineName,
    Frozen,
    InstanceState,
    MeasuredMemory,
    Modality,
    Price,
    ServiceStatus,
)


class DeployRequest(PlanRequest, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/services``; with ``?dry_run=true`` the answer is the plan."""

    name: str | None = None
    """The service's name; None: made from the model's."""
    public: bool = False
    user: str | None = None
    """Name or id of the user whose service it is; None: the box's owner."""
    upstreams: tuple[UpstreamRequest, ...] = ()
    """Remote endpoints that serve it, in the place of instances here; for a public one only."""
    idle_timeout_seconds: float | None = None
    """Without a request for so long it falls asleep, and the next one wakes it; None: never."""
    price: Price | None = None
    """What its tokens cost; None: for a public service what the catalog says, if it does."""
    priority: int = 0
    """0 to 100: when many have to start, as after a boot, the highest comes first."""


class ScaleRequest(Request, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/services/{name}/scale``: exactly one of the two."""

    instances: int | None = None
    """The target number."""
    add: int | None = None
    """How many more (fewer, if negative)."""


class ServiceStats(Frozen, frozen=True, kw_only=True):
    """What the gateway counted for a service since the daemon started."""

    requests: int = 0
    requests_in_flight: int = 0
    requests_queued: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    last_ttft_seconds: float | None = None
    tokens_per_second: float = 0.0
    """Completion tokens, over the last seconds."""


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
    eta_seconds: float | None = None
    """How long until the next of its instances serves, while it deploys or scales and that is
    known."""
    download: DownloadView | None = None
    """What it waits for, if its model is still being fetched."""
    modality: Modality = Modality.TEXT
    """VISION: it sees images."""
    on_cpu: bool = False
    """Its owner wants it on the CPU, whatever GPUs there are."""
    owner_name: str = ""
    asleep: bool = False
    """Nobody has called it for its idle timeout; the next request wakes it."""
    idle_timeout_seconds: float | None = None
    price: Price | None = None
    priority: int = 0
    upstreams: tuple[UpstreamView, ...] = ()
    rollout: str | None = None
    """How far its instances are replaced by those that run as it now shall."""


class EditRequest(Request, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/services/{name}/edit``: what is None stays as it is."""

    context_length: int | None = None
    """Tokens each slot can hold."""
    concurrency: int | None = None
    """Slots in one instance."""
    engine: str | None = None
    quantization: str | None = None
    device: str | None = None
    """``cpu``, or ``auto``: wherever it fits."""
    idle_timeout_seconds: float | None = None
    """0: never asleep."""
    price: Price | None = None
    priority: int | None = None
    revision: str | None = None
    """Of its model on the hub: a branch, a tag or a commit that is on this machine; ``main`` is the
    newest."""
    allow_downtime: bool = False
    """It may be done where nothing would serve for a while, for lack of room for old and new."""


class ServicesUpdate(Frozen, frozen=True, kw_only=True):
    """One message of ``GET /api/v1/services/live``; the first has everything."""

    at: float
    changed: tuple[ServiceView, ...]
    """Those that differ from what was sent before, in more than ``uptime_seconds``."""
    removed: tuple[str, ...] = ()
    """Ids of services that are gone."""
    attention: tuple[Attention, ...] | None = None
    """What needs attention, all of it; None: the same as before."""


class ServiceSample(Frozen, frozen=True, kw_only=True):
    """What a service did in one interval."""

    at: float
    """Its end."""
    tokens_per_second: float
    """Completion tokens."""
    requests: int
    """Ended in the interval."""
    ttft_seconds: float | None
    """Mean of the interval's first tokens; None: there were none."""
    requests_in_flight: int
    requests_queued: int
    memory_bytes: int
    """What its instances hold on all devices."""


class ServiceHistory(Frozen, frozen=True, kw_only=True):
    """The answer of ``GET /api/v1/services/{name}/history``: the last hour at most."""

    interval_seconds: float
    samples: tuple[ServiceSample, ...]
    """Oldest first."""
