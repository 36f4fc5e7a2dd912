"""What the box would do with a model, before anything is fetched or started."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from hydra_box.catalog import Catalog
from hydra_box.catalog.reference import is_reference
from hydra_box.corrections import Corrections
from hydra_box.engines.base import Engine
from hydra_box.errors import InvalidRequest
from hydra_box.messages import EditRequest, ModelView, PlanRequest, PlanView
from hydra_box.model_view import model_view
from hydra_box.models.wanted import Wanted, without_code
from hydra_box.placer import Decision, Placer, Situation, accept, ask_for, decide, offer_of
from hydra_box.plan.beside import Replacement
from hydra_box.plan.correction import correction_id
from hydra_box.plan.names import engine_named
from hydra_box.plan.other_models import other_models
from hydra_box.plan.ways import outdated
from hydra_box.plan_view import plan_view, shrinking_view
from hydra_box.replacing import Replacer
from hydra_box.services.editing import (
    ask_of_edit,
    edited,
    keeps_weights,
    model_of_edit,
    offers_here,
)
from hydra_box.sources import Sources
from hydra_box.supervisor import Supervisor
from hydra_box.types import (
    CPU,
    Alternative,
    Ask,
    Correction,
    EngineName,
    Frozen,
    ModelSpec,
    Offer,
    Placement,
    Plan,
    Service,
)


class Planned(Frozen, frozen=True, kw_only=True):
    """The plan for a model, which can be carried out."""

    plan: Plan
    path: str
    """Where its files are on this machine, or will be."""
    wanted: Wanted | None
    """What has to be fetched first; None: everything is here."""


class Planner:
    """Plans for what owners ask, beside what runs already."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        placer: Placer,
        corrections: Corrections,
        supervisor: Supervisor,
        engines: Mapping[EngineName, Engine],
        sources: Sources,
        replacer: Replacer,
    ) -> None:
        self._catalog = catalog
        self._placer = placer
        self._corrections = corrections
        self._supervisor = supervisor
        self._engines = engines
        self._sources = sources
        self.replacer = replacer
        """How the instances of a service can be replaced."""

    async def plan(self, request: PlanRequest) -> PlanView:
        """What would run, and where; or what is missing, and what would fit.

        Raises:
            InvalidRequest: a value is impossible on any machine.
            NotFound: there is no such model.
        """
        ask = ask_of(request)
        _, decision = await self._decide(ask, request)
        return self._view(request.model, ask, decision)

    async def plan_scale(self, service: Service, target: int) -> PlanView:
        """What it would take to have ``target`` instances of a service."""
        running, ask, decision = await self._look_at_scale(service, target)
        if target > running:
            return self._view(service.base_model, ask, decision, running=running)
        return shrinking_view(service, target, running, decision)

    async def check_room(self, service: Service, target: int) -> None:
        """Return if ``target`` instances of a service fit beside what runs.

        Raises:
            DoesNotFit: they do not.
        """
        running, _, decision = await self._look_at_scale(service, target)
        if target > running:
            accept(decision.result)

    async def plan_edit(self, service: Service, request: EditRequest) -> PlanView:
        """Where all instances of a service would run, and how, if it were edited.

        Raises:
            InvalidRequest: a value is impossible on any machine.
            Conflict: other weights are asked for, which would have to be fetched first.
        """
        ask, _, decision = await self._look_at_edit(service, request)
        view = self._view(service.base_model, ask, decision)
        if not isinstance(decision.result, Plan):
            return view
        how = await self._replacement(service, ask, decision.result)
        if how.told is None:
            return view
        # The last reason is the one that decided.
        reasons = (*view.reasons[:-1], how.told, *view.reasons[-1:])
        return msgspec.structs.replace(view, reasons=reasons, needs_downtime=how.needs_downtime)

    async def edit(self, service: Service, request: EditRequest) -> tuple[Service, Replacement]:
        """The service as an edit makes it, and how its instances are replaced.

        There is room for all of them once those that there are are gone.

        Raises:
            HydraError: as ``plan_edit``, and as ``decide``.
        """
        ask, spec, decision = await self._look_at_edit(service, request)
        plan = accept(decision.result)
        await self._placer.check_runtime(plan, spec)
        return edited(service, ask, plan), await self._replacement(service, ask, plan)

    async def decide(self, request: PlanRequest) -> Planned:
        """The plan for a deployment, made of the facts of the very files that it will run on.

        Raises:
            DoesNotFit: with what is missing; the hint is the nearest that would fit.
            DiskFull: there is no room for what has to be fetched.
            EngineUnavailable: the engine for it is not installed, or does not work.
            HydraError: the hub refuses, or cannot be reached.
        """
        ask = ask_of(request)
        spec, decision = await self._decide(ask, request)
        plan = accept(decision.result)
        await self._placer.check_runtime(plan, spec)
        if plan.offer.path is not None:
            return Planned(plan=plan, path=plan.offer.path, wanted=None)
        offer = await asyncio.to_thread(self._sources.exact, plan.offer)
        if offer != plan.offer:
            decision = await self._placer.place(ask, (offer,), self._supervisor.instances())
            plan = accept(decision.result)
        wanted, path = await asyncio.to_thread(
            self._sources.wanted, request.model, offer, allows_code=request.allow_code
        )
        return Planned(plan=plan, path=path, wanted=wanted)

    async def models(self) -> tuple[ModelView, ...]:
        """The catalog, each model with what this box would do with it now."""
        specs = await asyncio.to_thread(self._catalog.list)
        situation = await self._placer.look(self._supervisor.instances())
        services = self._supervisor.services()

        def judge_all() -> tuple[ModelView, ...]:
            results = ((spec, decide(Ask(), spec.offers, situation)) for spec in specs)
            return tuple(model_view(*one, situation.machine, services) for one in results)

        return await asyncio.to_thread(judge_all)

    async def model(self, id: str) -> ModelView:
        """One model of the catalog, or a path or repository.

        Raises:
            NotFound: there is no such model.
        """
        spec = await self._resolve(id)
        decision = await self._placer.place(Ask(), spec.offers, self._supervisor.instances())
        services = self._supervisor.services()
        return model_view(spec, decision.result, decision.situation.machine, services)

    # --- inside --------------------------------------------------------------------

    async def _look_at_scale(self, service: Service, target: int) -> tuple[int, Ask, Decision]:
        """The placed instances of a service, and what is asked and decided for those missing."""
        placed = [
            one for one in self._supervisor.instances_of(service.id) if one.placement is not None
        ]
        ask = ask_for(service, instances=max(1, target - len(placed)), running=len(placed))
        offer = await asyncio.to_thread(offer_of, service)
        decision = await self._placer.place(ask, (offer,), self._supervisor.instances())
        return len(placed), ask, decision

    async def _look_at_edit(
        self, service: Service, request: EditRequest
    ) -> tuple[Ask, ModelSpec | None, Decision]:
        """What an edit asks, of which model if its weights are to be others, and the decision."""
        ask = ask_of_edit(service, request)
        named = request.revision is None or is_reference(service.base_model)
        present = None if named else await self._resolve(service.base_model)
        model = model_of_edit(service, request, ask, present)
        spec = None if keeps_weights(service, ask) else await self._resolve(model)
        if spec is None:
            offers: tuple[Offer, ...] = (await asyncio.to_thread(offer_of, service),)
        else:
            offers = offers_here(service, spec, ask, model)
        decision = await self._placer.place(
            ask, offers, self._supervisor.instances(), without=service.id
        )
        return ask, spec, decision

    async def _replacement(self, service: Service, ask: Ask, plan: Plan) -> Replacement:
        """How a service's instances are replaced by an edit."""
        new = edited(service, ask, plan)
        old = outdated(new, self._supervisor.instances_of(service.id))
        ask = ask_for(new, instances=1, running=0)
        return await self.replacer.judge(service, ask, plan.offer, old)

    async def _decide(self, ask: Ask, request: PlanRequest) -> tuple[ModelSpec, Decision]:
        spec = await self._resolve(request.model)
        if not request.allow_code:
            spec = without_code(spec)
        decision = await self._placer.place(ask, spec.offers, self._supervisor.instances())
        if isinstance(decision.result, Plan) or decision.result.alternatives:
            return spec, decision
        found = await asyncio.to_thread(self._other_models, spec, decision.situation)
        rejection = msgspec.structs.replace(decision.result, alternatives=found)
        return spec, msgspec.structs.replace(decision, result=rejection)

    def _other_models(self, spec: ModelSpec, situation: Situation) -> tuple[Alternative, ...]:
        return other_models(
            spec, self._catalog.list(), lambda one: decide(Ask(), one.offers, situation)
        )

    async def _resolve(self, model: str) -> ModelSpec:
        return await asyncio.to_thread(self._catalog.resolve, model)

    def _view(self, model: str, ask: Ask, decision: Decision, *, running: int = 0) -> PlanView:
        correction = None
        if isinstance(decision.result, Plan):
            correction = self._correction(decision.result.placements[0])
        return plan_view(model, ask, decision, self._engines, correction, running=running)

    def _correction(self, placement: Placement) -> Correction | None:
        return self._corrections.get(
            correction_id(placement.engine, placement.architecture, placement.accelerator)
        )


def ask_of(request: PlanRequest) -> Ask:
    """What a request asks of a plan.

    Raises:
        InvalidRequest: there is no such engine or device.
    """
    if request.device not in (None, CPU):
        raise InvalidRequest(
            f"a plan cannot be tied to the device {request.device!r}",
            hint="leave it out, or ask for 'cpu'",
            param="device",
        )
    return Ask(
        engine=None if request.engine is None else engine_named(request.engine),
        quantization=request.quantization,
        context_length=request.context_length,
        slots=request.concurrency,
        instances=request.instances,
        device=request.device,
    )
