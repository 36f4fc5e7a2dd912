"""Which weights of a model to fetch, when somebody asks for the model and not for a service."""

from __future__ import annotations

import asyncio

from hydra_box.catalog import Catalog
from hydra_box.errors import NotFound
from hydra_box.messages import PullRequest
from hydra_box.models.wanted import Wanted, without_code
from hydra_box.placer import Placer, accept
from hydra_box.plan.names import engine_named
from hydra_box.sources import Sources
from hydra_box.supervisor import Supervisor
from hydra_box.types import Ask, EngineName, ModelSpec, Offer, WeightFormat

ENGINE_OF = {WeightFormat.GGUF: EngineName.LLAMA_CPP, WeightFormat.SAFETENSORS: EngineName.VLLM}
"""Format of weights to the engine that reads it."""


class Puller:
    """Chooses as a deployment would, where it was not said what to fetch."""

    def __init__(
        self, *, catalog: Catalog, placer: Placer, supervisor: Supervisor, sources: Sources
    ) -> None:
        self._catalog = catalog
        self._placer = placer
        self._supervisor = supervisor
        self._sources = sources

    async def choose(self, request: PullRequest) -> Wanted:
        """What is to be fetched of a model: what is asked for, else what this box would run.

        Raises:
            DoesNotFit: nothing fits this box, and it was not said what to fetch.
            HydraError: the hub refuses, or cannot be reached.
        """
        spec = await asyncio.to_thread(self._catalog.on_the_hub, request.model)
        if not request.allow_code:
            spec = without_code(spec)
        offers = offers_asked_for(spec, request)
        if len(offers) > 1:
            decision = await self._placer.place(Ask(), offers, self._supervisor.instances())
            offers = (accept(decision.result).offer,)
        offer = await asyncio.to_thread(self._sources.exact, offers[0])
        wanted, _ = await asyncio.to_thread(
            self._sources.wanted, request.model, offer, allows_code=request.allow_code
        )
        return wanted


def offers_asked_for(spec: ModelSpec, request: PullRequest) -> tuple[Offer, ...]:
    """The offers of a model that a pull may mean.

    Raises:
        NotFound: there is none like that; says which there are.
    """
    engine = None if request.engine is None else engine_named(request.engine)
    quantization = None if request.quantization is None else request.quantization.upper()
    found = tuple(
        one
        for one in spec.offers
        if quantization in (None, (one.facts.quantization or "").upper())
        and engine in (None, ENGINE_OF[one.facts.format])
    )
    if not found:
        there = ", ".join(sorted({_offer_words(one) for one in spec.offers}))
        raise NotFound(
            f"{spec.name} is not on offer like that", hint=f"it is in {there}", param="model"
        )
    return found


def _offer_words(offer: Offer) -> str:
    return f"{offer.facts.quantization or 'unknown'} ({offer.facts.format})"
