"""Where and how instances of a model run on this machine, or why they cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from hydra_box.errors import InvalidRequest
from hydra_box.plan import llama_cpp_layout, vllm_layout
from hydra_box.plan.alternatives import alternatives
from hydra_box.plan.engine_choice import Attempt, choose_engines
from hydra_box.plan.engine_limits import NAMES
from hydra_box.plan.layout import Layout, Site, devices_of, how_many_fit, site_of
from hydra_box.plan.quality import bands
from hydra_box.plan.reasons import lacking, plan_reasons, refusal, shortfalls
from hydra_box.plan.sizes import check_context_length, check_instances, check_slots
from hydra_box.types import (
    CPU,
    Accelerator,
    Ask,
    Claim,
    EngineAvailability,
    EngineName,
    Frozen,
    Machine,
    Offer,
    Placement,
    Plan,
    PlanOutcome,
    Rejection,
)

SEARCH = {EngineName.LLAMA_CPP: llama_cpp_layout.search, EngineName.VLLM: vllm_layout.search}
WIDEST = {EngineName.LLAMA_CPP: llama_cpp_layout.widest, EngineName.VLLM: vllm_layout.widest}


class Found(Frozen, frozen=True, kw_only=True):
    """A layout that fits, and the attempt that it comes from."""

    attempt: Attempt
    layout: Layout


def place(
    ask: Ask,
    offers: Sequence[Offer],
    machine: Machine,
    available: Sequence[EngineAvailability],
    *,
    claims: Sequence[Claim] = (),
    corrections: Mapping[str, float] = {},
) -> Plan | Rejection:
    """Decide on engine, weights, devices and sizes, as an operator with experience would.

    1. The engines to try come from ``engine_choice``, in order. What is on this machine already
       goes before what would be downloaded, if it fits wholly and usefully.
    2. Within an engine: the fewest devices, then the best quantisation that leaves a useful KV
       cache (``llama_cpp_layout.search``, ``vllm_layout.search``).
    3. What was not asked for then grows into room to spare: context up to 32,768 tokens, the
       prefill step, vLLM's concurrent sequences. A model that needs less than half of a GPU
       leaves the other half free.
    4. Instances are spread: each goes where the fewest are; parts of one instance go to equal
       GPUs, those with an NVLink first.
    5. If the engine has no usable runtime and none was asked for by name, another engine that
       has one takes its place, on the same kind of device; else the plan says what to install.

    Args:
        ask: what is asked for; None leaves the choice to the plan.
        offers: the weights that the model can be served from.
        machine: what is there now.
        available: what of each engine is on this box.
        claims: what instances of ours were granted.
        corrections: id (``correction_id``) to the factor that measuring gave.

    Raises:
        InvalidRequest: a value is impossible on any machine.
    """
    return _Planner(offers, machine, available, claims, corrections).answer(ask)


class _Planner:
    def __init__(
        self,
        offers: Sequence[Offer],
        machine: Machine,
        available: Sequence[EngineAvailability],
        claims: Sequence[Claim],
        corrections: Mapping[str, float],
    ) -> None:
        self._offers = offers
        self._machine = machine
        self._usable = {(one.engine, kind) for one in available for kind in one.accelerators}
        self._claims = claims
        self._corrections = corrections

    def answer(self, ask: Ask) -> Plan | Rejection:
        check(ask, self._offers)
        result = self.decide(ask)
        if isinstance(result, Plan):
            return result
        found = alternatives(ask, self._machine, self._offers, self.decide)
        return msgspec.structs.replace(result, alternatives=found)

    def decide(self, ask: Ask) -> Plan | Rejection:
        """The answer, without alternatives."""
        offers = matching(ask, self._offers)
        site = site_of(self._machine, self._claims, self._corrections, ask)
        attempts = choose_engines(ask, offers, self._machine)
        if isinstance(attempts, Rejection):
            return attempts
        best = _first(site, ask, attempts)
        if best is None:
            return _reject(site, ask, attempts)
        if self._is_usable(best.attempt):
            return _plan(site, ask, offers, best, PlanOutcome.FITS, ())
        second = _first(site, ask, [one for one in attempts if self._is_usable(one)])
        if second is not None:
            instead = f"{NAMES[second.attempt.engine]}, because it is installed"
            attempt = msgspec.structs.replace(second.attempt, reason=instead)
            second = msgspec.structs.replace(second, attempt=attempt)
            better = f"{NAMES[best.attempt.engine]} would serve it better: {_install(best)}"
            return _plan(site, ask, offers, second, PlanOutcome.FITS, (better,))
        on_cpu = best.attempt.accelerator is Accelerator.CPU
        kind = "the CPU" if on_cpu else "this machine's GPUs"
        missing = f"{NAMES[best.attempt.engine]} has no usable runtime for {kind}: {_install(best)}"
        return _plan(site, ask, offers, best, PlanOutcome.INSTALL_FIRST, (missing,))

    def _is_usable(self, attempt: Attempt) -> bool:
        return (attempt.engine, attempt.accelerator) in self._usable


def check(ask: Ask, offers: Sequence[Offer]) -> None:
    """Return if what is asked for is possible on some machine.

    Raises:
        InvalidRequest: it is not; ``param`` names the value.
    """
    if not offers:
        raise InvalidRequest("the model has no weights on offer", param="model")
    check_instances(ask.instances)
    check_slots(ask.slots)
    if ask.device not in (None, CPU):
        raise InvalidRequest(
            f"a plan cannot be tied to the device {ask.device!r}",
            hint="leave it out, or ask for 'cpu'",
            param="device",
        )
    same = _of_quantization(ask, offers)
    if not same:
        names = dict.fromkeys(one.facts.quantization or "unnamed" for one in offers)
        raise InvalidRequest(
            f"the quantization {ask.quantization!r} is not on offer",
            hint=f"on offer: {', '.join(names)}",
            param="quantization",
        )
    check_context_length(ask.context_length, max(one.facts.context_length for one in same))


def _of_quantization(ask: Ask, offers: Sequence[Offer]) -> list[Offer]:
    wanted = None if ask.quantization is None else ask.quantization.upper()
    return [one for one in offers if wanted in (None, (one.facts.quantization or "").upper())]


def matching(ask: Ask, offers: Sequence[Offer]) -> tuple[Offer, ...]:
    """The offers of the quantisation and with the context that are asked for."""
    context = ask.context_length or 0
    return tuple(
        one for one in _of_quantization(ask, offers) if one.facts.context_length >= context
    )


def _first(site: Site, ask: Ask, attempts: Sequence[Attempt]) -> Found | None:
    for attempt in attempts:
        layout = SEARCH[attempt.engine](site, ask, attempt)
        if layout is not None:
            return Found(attempt=attempt, layout=layout)
    return None


def _install(found: Found) -> str:
    return f"hydra-box engines install {found.attempt.engine}"


def _plan(
    site: Site,
    ask: Ask,
    offers: Sequence[Offer],
    found: Found,
    outcome: PlanOutcome,
    notes: tuple[str, ...],
) -> Plan:
    layout = found.layout
    groups = devices_of(site, layout)
    reasons = plan_reasons(site, ask, offers, found.attempt, layout, groups)
    return Plan(
        outcome=outcome,
        offer=layout.offer,
        engine=layout.engine,
        placements=tuple(_placement(layout, group) for group in groups),
        most_instances=how_many_fit(site, layout),
        reasons=(*reasons[:-1], *notes, reasons[-1]),
    )


def _placement(layout: Layout, group: tuple[str, ...]) -> Placement:
    names = dict(zip(layout.ground.sample, group, strict=True))
    return Placement(
        engine=layout.engine,
        accelerator=layout.ground.accelerator,
        devices=group,
        options=layout.options,
        memory=tuple(
            msgspec.structs.replace(one, device=names.get(one.device, one.device))
            for one in layout.memory
        ),
        architecture=layout.offer.facts.architecture,
        correction_factor=layout.correction_factor,
    )


def _reject(site: Site, ask: Ask, attempts: Sequence[Attempt]) -> Rejection:
    """Say for each engine what its nearest way lacks; the nearest of all is the last."""
    by_engine = {
        one.engine: WIDEST[one.engine](site, ask, one, _smallest(ask, one))
        for one in attempts
        if not one.useful
    }
    layouts = sorted(by_engine.values(), key=lambda one: lacking(site, one), reverse=True)
    return Rejection(
        reasons=tuple(refusal(site, one) for one in layouts),
        missing=shortfalls(site, layouts[-1]),
        alternatives=(),
        engine=layouts[-1].engine,
    )


def _smallest(ask: Ask, attempt: Attempt) -> Offer:
    choice = [one for band in bands(ask, attempt.offers) for one in band]
    return min(choice, key=lambda one: one.facts.weight_bytes)
