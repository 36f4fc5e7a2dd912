"""Places instances on this machine as it is now: gathers what ``plan/`` needs, and asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from hydra_box.corrections import Corrections
from hydra_box.engines.choice import version_numbers
from hydra_box.engines.runtimes import RuntimeManager
from hydra_box.errors import DoesNotFit, EngineUnavailable, StateError
from hydra_box.measure import claims
from hydra_box.modalities import Modalities
from hydra_box.models.facts import read_facts
from hydra_box.plan.availability import as_if_free, available_bytes, without_service
from hydra_box.plan.beside import as_well, lacking_beside
from hydra_box.plan.placement import place
from hydra_box.sampler import Sampler
from hydra_box.types import (
    CPU,
    Ask,
    Claim,
    EngineAvailability,
    Frozen,
    Instance,
    Machine,
    ModelSpec,
    Offer,
    Plan,
    Rejection,
    Service,
)


class Situation(Frozen, frozen=True, kw_only=True):
    """All that a decision depends on beside the question, at one moment."""

    machine: Machine
    claims: tuple[Claim, ...]
    engines: tuple[EngineAvailability, ...]
    corrections: dict[str, float]
    """Name of a correction to its factor."""


class Decision(Frozen, frozen=True, kw_only=True):
    """What was decided, and from what."""

    result: Plan | Rejection
    situation: Situation


class Placer:
    """The machine, the engines that are here, and what was learned, for every decision."""

    def __init__(
        self,
        *,
        runtimes: RuntimeManager,
        sampler: Sampler,
        corrections: Corrections,
        modalities: Modalities,
    ) -> None:
        self._runtimes = runtimes
        self._sampler = sampler
        self._corrections = corrections
        self._modalities = modalities

    async def look(
        self,
        instances: Iterable[Instance],
        *,
        without: str | None = None,
        gone: Collection[str] = (),
    ) -> Situation:
        """What there is now, and what each of these instances holds of it.

        With ``without``, the id of a service: as if its instances were gone; as if those were
        whose ids are in ``gone``.

        Raises:
            StateError: the kernel does not tell.
        """
        try:
            machine = await self._sampler.fresh()
            instances = tuple(instances)
            leaving = [one for one in instances if one.id in gone]
            staying = [one for one in instances if one.id not in gone]
            held = await asyncio.to_thread(claims, staying, machine)
            freed = await asyncio.to_thread(claims, leaving, machine) if leaving else ()
        except OSError as error:
            raise StateError(
                f"the machine could not be looked at: {error}", hint="hydra-box doctor looks too"
            ) from error
        machine = as_if_free(machine, freed)
        if without is not None:
            machine, held = without_service(machine, held, without)
        return Situation(
            machine=machine,
            claims=held,
            engines=self._runtimes.availability(),
            corrections=dict(self._corrections.factors()),
        )

    async def place(
        self,
        ask: Ask,
        offers: Sequence[Offer],
        instances: Iterable[Instance],
        *,
        without: str | None = None,
        gone: Collection[str] = (),
    ) -> Decision:
        """Where and how a model would run, beside the instances that there are; see ``look``.

        Raises:
            InvalidRequest: a value is impossible on any machine.
        """
        for offer in offers:
            if offer.path is not None:
                self._modalities.learn(offer.path, offer.facts)
        situation = await self.look(instances, without=without, gone=gone)
        result = await asyncio.to_thread(decide, ask, offers, situation)
        return Decision(result=result, situation=situation)

    async def place_beside(
        self,
        ask: Ask,
        offers: Sequence[Offer],
        instances: Iterable[Instance],
        service_id: str,
        *,
        gone: Collection[str] = (),
    ) -> Decision:
        """As ``place``, for one that takes the place of another instance of its service.

        Beside that it has to be placed as well as it would be without: it must not make do with
        the CPU because the other still has the GPU.

        Raises:
            InvalidRequest: a value is impossible on any machine.
        """
        instances = tuple(instances)
        beside = await self.place(ask, offers, instances, gone=gone)
        if not isinstance(beside.result, Plan):
            return beside
        alone = await self.place(ask, offers, instances, without=service_id)
        best = alone.result
        if not isinstance(best, Plan) or as_well(beside.result.placements[0], best.placements[0]):
            return beside
        machine, claims = beside.situation.machine, beside.situation.claims
        lacking = lacking_beside(best, machine, available_bytes(machine, claims))
        return Decision(result=lacking, situation=beside.situation)

    async def check_runtime(self, plan: Plan, spec: ModelSpec | None) -> None:
        """Return if something here can run a plan for a model.

        ``spec`` says how new the engine has to be; None: the engine serves the model already.

        Raises:
            EngineUnavailable: its engine is not installed, does not work, or is too old.
        """
        runtime = await self._runtimes.best(plan.engine, plan.placements[0].accelerator)
        oldest = None if spec is None else spec.minimum_versions.get(plan.engine)
        if spec and oldest and version_numbers(runtime.version) < version_numbers(oldest):
            raise EngineUnavailable(
                f"{spec.name} needs {plan.engine} {oldest} or newer; {runtime.id} is "
                f"{runtime.version}",
                hint=f"hydra-box engines install {plan.engine}",
            )


def decide(ask: Ask, offers: Sequence[Offer], situation: Situation) -> Plan | Rejection:
    """The decision: milliseconds for one model, tenths of a second for a catalog of them.

    Raises:
        InvalidRequest: a value is impossible on any machine.
    """
    return place(
        ask,
        offers,
        situation.machine,
        situation.engines,
        claims=situation.claims,
        corrections=situation.corrections,
    )


def ask_for(service: Service, *, instances: int, running: int) -> Ask:
    """What more instances of a service ask for: all that was decided when it was deployed.

    Args:
        service: what they serve.
        instances: how many more.
        running: how many are placed already.
    """
    return Ask(
        engine=service.engine,
        context_length=service.context_length,
        slots=service.slots,
        instances=instances,
        running=running,
        device=CPU if service.on_cpu else None,
    )


def offer_of(service: Service) -> Offer:
    """The weights that a service serves; blocking.

    Raises:
        InvalidModel: they cannot be read any more.
    """
    return Offer(facts=read_facts(Path(service.model_path)), path=service.model_path)


def accept(result: Plan | Rejection) -> Plan:
    """The plan; its engine may have to be installed first, which looking for a runtime tells.

    Raises:
        DoesNotFit: with what is missing; the hint is the nearest that would fit.
        EngineUnavailable: no engine can run it here, however much memory there were.
    """
    if isinstance(result, Rejection):
        nearest = [one.message for one in result.alternatives[:1]]
        refusal = DoesNotFit if result.missing else EngineUnavailable
        raise refusal(result.message, hint=nearest[0] if nearest else None, param="model")
    return result
