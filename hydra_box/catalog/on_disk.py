"""What of a model is on this machine's disks already."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from hydra_box.catalog.reference import HubReference
from hydra_box.errors import HydraError
from hydra_box.models.facts import read_facts
from hydra_box.types import ModelSpec, Offer, StoredModel, WeightFormat


class Shelf(Protocol):
    """The models on this machine's disks, as far as the catalog asks for them."""

    def list(self) -> tuple[StoredModel, ...]:
        """Every one."""

    def find(
        self,
        repository: str,
        format: WeightFormat,
        quantization: str | None,
        revision: str | None = None,
    ) -> StoredModel | None:
        """The one with these weights; of several revisions the newest."""


def stored_models(shelf: Shelf | None) -> tuple[StoredModel, ...]:
    """Every model on the disk."""
    return () if shelf is None else shelf.list()


def with_files(shelf: Shelf | None, spec: ModelSpec) -> ModelSpec:
    """The model, its offers read from the files that are on the disk of them."""
    offers = tuple(_with_file(shelf, one) for one in spec.offers)
    return msgspec.structs.replace(spec, offers=offers) if offers != spec.offers else spec


def offers_on_disk(shelf: Shelf | None, reference: HubReference) -> tuple[Offer, ...]:
    """What is on the disk of a repository, at the commit if one is asked for."""
    wanted = (reference.file or "").upper()
    return tuple(
        offer_of_stored(one)
        for one in stored_models(shelf)
        if one.repository == reference.repository
        and (reference.branch is not None or one.revision == reference.revision)
        and (
            reference.file is None
            or one.quantization == wanted
            or reference.file in {file.name for file in one.files}
        )
    )


def offer_of_stored(model: StoredModel) -> Offer:
    """The offer of weights that are on the disk; their facts are read from them."""
    return Offer(
        facts=read_facts(Path(model.path)),
        path=model.path,
        repository=model.repository,
        revision=model.revision,
    )


def _with_file(shelf: Shelf | None, offer: Offer) -> Offer:
    if offer.path is not None or offer.repository is None or shelf is None:
        return offer
    facts = offer.facts
    stored = shelf.find(offer.repository, facts.format, facts.quantization, offer.revision)
    if stored is None or stored.problem is not None:
        return offer
    try:
        return offer_of_stored(stored)
    except HydraError:
        # Its files were taken away: they can be fetched again.
        return offer
