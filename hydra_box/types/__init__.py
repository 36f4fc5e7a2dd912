"""The vocabulary: every value that crosses a room's door, as frozen structs.

Units are in the names: ``_bytes``, ``_seconds``, ``_tokens``. A field that ends in ``_at`` is Unix
time in seconds, UTC. The same structs are rows, function results and JSON bodies of the
management API; those that only the management API has are in ``messages.py``.
"""

from __future__ import annotations

from hydra_box.types.base import Frozen
from hydra_box.types.engines import (
    LOCAL_ENGINES,
    Accelerator,
    EngineName,
    EngineOptions,
    ExitExplanation,
    Launch,
    ProcessExit,
    Runtime,
    RuntimeSource,
)
from hydra_box.types.events import ErrorBody, ErrorDetail, Event, Finding, Severity
from hydra_box.types.histograms import Histogram
from hydra_box.types.keys import ApiKey, KeyLimits, QuotaPeriod, Scope, TokenQuota
from hydra_box.types.library import (
    Download,
    DownloadState,
    FoundModel,
    ModelFile,
    StoredAs,
    StoredModel,
    Transfer,
)
from hydra_box.types.machine import CPU, Gpu, GpuCondition, GpuLoss, GpuProcess, Machine
from hydra_box.types.models import (
    CacheKind,
    FactsSource,
    Hosting,
    LayerCache,
    Modality,
    ModelFacts,
    ModelSpec,
    Offer,
    WeightFile,
    WeightFormat,
)
from hydra_box.types.plans import (
    Alternative,
    Ask,
    Claim,
    Correction,
    DeviceMemory,
    EngineAvailability,
    LoadTime,
    Placement,
    Plan,
    PlanOutcome,
    Rejection,
    Shortfall,
)
from hydra_box.types.services import (
    DesiredState,
    Instance,
    InstanceState,
    MeasuredMemory,
    Service,
    ServiceStatus,
    User,
    Way,
)
from hydra_box.types.upstreams import Upstream
from hydra_box.types.usage import NANOS, Outcome, Price, RequestRecord

__all__ = [
    "CPU",
    "LOCAL_ENGINES",
    "NANOS",
    "Accelerator",
    "Alternative",
    "ApiKey",
    "Ask",
    "CacheKind",
    "Claim",
    "Correction",
    "DesiredState",
    "DeviceMemory",
    "Download",
    "DownloadState",
    "EngineAvailability",
    "EngineName",
    "EngineOptions",
    "ErrorBody",
    "ErrorDetail",
    "Event",
    "ExitExplanation",
    "FactsSource",
    "Finding",
    "FoundModel",
    "Frozen",
    "Gpu",
    "GpuCondition",
    "GpuLoss",
    "GpuProcess",
    "Histogram",
    "Hosting",
    "Instance",
    "InstanceState",
    "KeyLimits",
    "Launch",
    "LayerCache",
    "LoadTime",
    "Machine",
    "MeasuredMemory",
    "Modality",
    "ModelFacts",
    "ModelFile",
    "ModelSpec",
    "Offer",
    "Outcome",
    "Placement",
    "Plan",
    "PlanOutcome",
    "Price",
    "ProcessExit",
    "QuotaPeriod",
    "Rejection",
    "RequestRecord",
    "Runtime",
    "RuntimeSource",
    "Scope",
    "Service",
    "ServiceStatus",
    "Severity",
    "Shortfall",
    "StoredAs",
    "StoredModel",
    "TokenQuota",
    "Transfer",
    "Upstream",
    "User",
    "Way",
    "WeightFile",
    "WeightFormat",
]
