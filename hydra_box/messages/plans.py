"""Plans, as they are asked for and shown."""

from __future__ import annotations

from hydra_box.messages.base import Request
from hydra_box.types import (
    Alternative,
    Correction,
    EngineName,
    FactsSource,
    Frozen,
    Placement,
    PlanOutcome,
    Shortfall,
)


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
    needs_downtime: bool = False
    """An edit that ends the last serving instance before its successor can start."""
