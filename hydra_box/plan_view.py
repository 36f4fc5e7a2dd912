"""A decision as people and programs are shown it: pure, from values to a ``PlanView``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from hydra_box.engines.base import Engine
from hydra_box.messages import DevicePlan, PlanView
from hydra_box.placer import Decision, Situation
from hydra_box.plan.availability import available_bytes
from hydra_box.plan.sizes import MOST_INSTANCES
from hydra_box.plan.words import gpu_name
from hydra_box.types import (
    CPU,
    Ask,
    Correction,
    EngineName,
    FactsSource,
    Offer,
    Placement,
    Plan,
    PlanOutcome,
    Rejection,
    Service,
)


def plan_view(
    model: str,
    ask: Ask,
    decision: Decision,
    engines: Mapping[EngineName, Engine],
    correction: Correction | None = None,
    *,
    running: int = 0,
) -> PlanView:
    """Show a decision.

    Args:
        model: the MODEL as it was asked for.
        ask: what was asked; ``ask.instances`` beside the ``running`` ones.
        decision: what was decided, and from what.
        engines: for the flags.
        correction: what the estimate contains, if something was measured before.
        running: instances of the service that run already, for a plan to scale it.
    """
    match decision.result:
        case Plan() as plan:
            return _of_plan(model, plan, decision, engines, correction, running)
        case Rejection() as rejection:
            return _of_rejection(model, ask, rejection, decision, running)


def _of_plan(
    model: str,
    plan: Plan,
    decision: Decision,
    engines: Mapping[EngineName, Engine],
    correction: Correction | None,
    running: int,
) -> PlanView:
    first = plan.placements[0]
    facts = plan.offer.facts
    return PlanView(
        fits=True,
        model=model,
        outcome=plan.outcome,
        engine=plan.engine,
        quantization=facts.quantization,
        facts_source=facts.source,
        instances=running + len(plan.placements),
        most_instances=min(running + plan.most_instances, MOST_INSTANCES),
        context_length=first.options.context_length,
        slots=first.options.slots,
        download_bytes=_download_bytes(plan.offer),
        devices=device_plans(decision.situation, plan.placements),
        placements=plan.placements,
        flags=engines[plan.engine].flags(first.options, first.accelerator, facts),
        reasons=plan.reasons,
        correction=correction,
    )


def _of_rejection(
    model: str, ask: Ask, rejection: Rejection, decision: Decision, running: int
) -> PlanView:
    return PlanView(
        fits=False,
        model=model,
        outcome=None,
        engine=rejection.engine,
        quantization=ask.quantization,
        facts_source=None,
        instances=running + ask.instances,
        most_instances=running,
        context_length=ask.context_length,
        slots=ask.slots,
        download_bytes=0,
        devices=device_plans(decision.situation, ()),
        placements=(),
        flags=(),
        reasons=rejection.reasons,
        missing=rejection.missing,
        alternatives=rejection.alternatives,
    )


def shrinking_view(service: Service, target: int, running: int, decision: Decision) -> PlanView:
    """Show that a service is to have no more instances than it has: nothing is placed.

    Args:
        service: the one that is scaled.
        target: how many instances it shall have.
        running: how many it has.
        decision: about one instance more, which tells how many there could be.
    """
    more = decision.result.most_instances if isinstance(decision.result, Plan) else 0
    has = f"{service.name} has {running} instance{'' if running == 1 else 's'}"
    reason = f"{has} and shall have {target}: {running - target} finish their requests and end."
    if target == running:
        reason = f"{has}, as it shall."
    return PlanView(
        fits=True,
        model=service.base_model,
        outcome=PlanOutcome.FITS,
        engine=service.engine,
        quantization=service.quantization,
        facts_source=FactsSource.FILE,
        instances=target,
        most_instances=min(running + more, MOST_INSTANCES),
        context_length=service.context_length,
        slots=service.slots,
        download_bytes=0,
        devices=device_plans(decision.situation, ()),
        placements=(),
        flags=(),
        reasons=(reason,),
    )


def device_plans(situation: Situation, placements: Sequence[Placement]) -> tuple[DevicePlan, ...]:
    """Every device of the machine: whose its bytes are, and what a plan would add."""
    machine, claims = situation.machine, situation.claims
    added = Counter[str]()
    for placement in placements:
        for memory in placement.memory:
            added[memory.device] += memory.total_bytes
    ours = Counter[str]()
    for claim in claims:
        ours[claim.device] += max(claim.granted_bytes, claim.used_bytes)
    available = available_bytes(machine, claims)
    sizes = [(one.uuid, gpu_name(one), one.total_bytes) for one in machine.gpus]
    sizes.append((CPU, f"CPU ({machine.cpu_model})", machine.ram_total_bytes))
    return tuple(
        DevicePlan(
            device=device,
            name=name,
            total_bytes=total,
            others_bytes=max(0, total - ours[device] - available[device]),
            ours_bytes=ours[device],
            predicted_bytes=added[device],
            available_bytes=available[device],
        )
        for device, name, total in sizes
        if device in available
    )


def _download_bytes(offer: Offer) -> int:
    return 0 if offer.path is not None else offer.facts.size_bytes
