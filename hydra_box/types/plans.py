"""Plans: where instances of a model run, with what, and why; or why they cannot."""

from __future__ import annotations

from enum import StrEnum

from hydra_box.types.base import Frozen
from hydra_box.types.engines import Accelerator, EngineName, EngineOptions
from hydra_box.types.models import Offer


class DeviceMemory(Frozen, frozen=True, kw_only=True):
    """Predicted bytes of one instance on one device."""

    device: str
    """``cpu``, or the UUID of a GPU."""
    weights_bytes: int
    kv_cache_bytes: int
    compute_bytes: int
    """Activations and scratch, at the largest batch."""
    overhead_bytes: int
    """What the process itself, CUDA and its graphs take."""

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.kv_cache_bytes + self.compute_bytes + self.overhead_bytes


class Correction(Frozen, frozen=True, kw_only=True):
    """What measuring taught about the estimate for one engine and architecture."""

    id: str
    """``<engine>/<architecture>/<accelerator>``."""
    factor: float
    """Measured over predicted, the largest of the recent ones; estimates are multiplied by it."""
    samples: int
    updated_at: float


class LoadTime(Frozen, frozen=True, kw_only=True):
    """How long one way of running took to get ready, learned each time that one did."""

    id: str
    """``<engine>/<cpu or auto>/<path of the model>``."""
    seconds: float
    """From the beginning of its start to its first token."""
    cold_bytes: int
    """Of its weights, what had to come from the disk then."""
    reading_seconds: float = 0.0
    """How long that took; 0: nothing did."""
    samples: int = 1
    updated_at: float


class Ask(Frozen, frozen=True, kw_only=True):
    """What a plan is asked for; None leaves the choice to the plan."""

    engine: EngineName | None = None
    quantization: str | None = None
    context_length: int | None = None
    slots: int | None = None
    instances: int = 1
    running: int = 0
    """Instances of the same service that are there beside those: they share the CPU's cores."""
    device: str | None = None
    """``cpu``: run on the CPU, although there is a GPU."""


class EngineAvailability(Frozen, frozen=True, kw_only=True):
    """What of an engine is on this box."""

    engine: EngineName
    accelerators: tuple[Accelerator, ...]
    """Those that a usable runtime computes on; empty: none is installed."""


class Claim(Frozen, frozen=True, kw_only=True):
    """Memory that an instance of ours was granted on one device."""

    device: str
    granted_bytes: int
    used_bytes: int
    """What its process holds now; while it loads less than it was granted."""
    service_id: str | None = None


class Placement(Frozen, frozen=True, kw_only=True):
    """One instance, placed: devices, options, predicted memory."""

    engine: EngineName
    accelerator: Accelerator
    devices: tuple[str, ...]
    """UUIDs in the order of tensor parallel ranks or layer splits; ``("cpu",)`` for the CPU."""
    options: EngineOptions
    memory: tuple[DeviceMemory, ...]
    """One for each device, and one for the CPU's share, predicted after correction."""
    architecture: str = ""
    """Of the model; with engine and accelerator it names the correction."""
    correction_factor: float = 1.0
    """What is contained in ``memory``."""

    @property
    def device(self) -> str:
        """The devices as one word: ``cpu``, or UUIDs joined by commas."""
        return ",".join(self.devices)


class Shortfall(Frozen, frozen=True, kw_only=True):
    """What is missing on one device."""

    device: str
    needed_bytes: int
    available_bytes: int
    message: str
    """``needs 41.2 GiB; GPU 0 (RTX 4090) has 22.1 GiB free``."""


class Alternative(Frozen, frozen=True, kw_only=True):
    """Something near what was asked, which does fit."""

    ask: Ask
    """What to ask instead; placing it on the same machine succeeds."""
    model: str | None = None
    """Id of another base model to ask it of, where this one fits in no way."""
    message: str
    """``16,384 tokens of context would fit``."""


class PlanOutcome(StrEnum):
    """Whether a plan can be carried out."""

    FITS = "fits"
    INSTALL_FIRST = "install-first"
    """It fits; the engine has no usable runtime for it yet."""


class Plan(Frozen, frozen=True, kw_only=True):
    """What will run: every instance placed."""

    outcome: PlanOutcome
    offer: Offer
    engine: EngineName
    placements: tuple[Placement, ...]
    """One for each instance asked for."""
    most_instances: int
    """The largest number that fits now, those asked for included."""
    reasons: tuple[str, ...]
    """One sentence for each decision."""


class Rejection(Frozen, frozen=True, kw_only=True):
    """Why it cannot run, and what could."""

    reasons: tuple[str, ...]
    missing: tuple[Shortfall, ...]
    """Empty when it is not memory that is missing."""
    alternatives: tuple[Alternative, ...]
    engine: EngineName | None = None
    """The engine that was chosen, if that decision was reached."""

    @property
    def message(self) -> str:
        """The reason that decided, in one sentence."""
        return self.reasons[-1]
