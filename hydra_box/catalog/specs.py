"""From a catalog entry to a ``ModelSpec``: offers from local files or from the entry's shape."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from hydra_box.catalog.entry import Entry, GgufOffer, SafetensorsOffer
from hydra_box.models.facts import read_facts
from hydra_box.models.image_models import image_facts
from hydra_box.models.shapes import shape_facts
from hydra_box.types import (
    FactsSource,
    Modality,
    ModelFacts,
    ModelSpec,
    Offer,
    WeightFile,
    WeightFormat,
)

ASSETS = Path(__file__).parent.parent / "assets"


def spec_of_entry(id: str, entry: Entry, offers_of_hub: Sequence[Offer] = ()) -> ModelSpec:
    """The model of a catalog entry; ``offers_of_hub`` where the entry has no facts itself.

    Raises:
        NotFound: its file is not there.
        InvalidModel: its file cannot be served, or its shape is impossible.

    """
    files = _files(entry)
    if files:
        spec = spec_of_files(id, id, files)
    elif offers_of_hub:
        spec = spec_of_offers(id, id, offers_of_hub)
    else:
        spec = spec_of_offers(id, id, _computed(entry))
    price = entry.price
    return msgspec.structs.replace(
        spec,
        name=entry.name or spec.name,
        modality=spec.modality if files or offers_of_hub else entry.modality,
        context_length=entry.context_length or spec.context_length,
        parameters=entry.parameters or spec.parameters,
        active_parameters=entry.active_parameters or spec.active_parameters,
        publisher=entry.publisher,
        license=entry.license,
        gated=entry.gated,
        description=entry.description,
        tags=entry.tags,
        hosting=entry.hosting,
        minimum_versions={str(engine): version for engine, version in entry.minimum.items()},
        price_per_million_input_tokens=price.input if price else None,
        price_per_million_output_tokens=price.output if price else None,
    )


def spec_of_files(id: str, name: str, paths: Sequence[Path]) -> ModelSpec:
    """The model in local files: a GGUF file or a safetensors directory each.

    Raises:
        NotFound: there is no such file.
        InvalidModel: it cannot be read or served.

    """
    return spec_of_offers(
        id, name, tuple(Offer(facts=read_facts(path), path=str(path)) for path in paths)
    )


def spec_of_offers(id: str, name: str, offers: Sequence[Offer]) -> ModelSpec:
    """The model that ``offers`` are of; the first of the largest tells about it."""
    ordered = tuple(sorted(offers, key=lambda offer: -offer.facts.weight_bytes))
    facts = ordered[0].facts
    return ModelSpec(
        id=id,
        name=facts.name or name,
        modality=facts.modality,
        context_length=facts.context_length,
        parameters=facts.parameters or None,
        offers=ordered,
    )


def _files(entry: Entry) -> tuple[Path, ...]:
    assets = (entry.asset,) if isinstance(entry.asset, str) else entry.asset
    paths = (entry.path,) if isinstance(entry.path, str) else entry.path
    return (*(ASSETS / one for one in assets), *(Path(one) for one in paths))


def _computed(entry: Entry) -> tuple[Offer, ...]:
    return (
        *(_safetensors(entry, one) for one in entry.safetensors),
        *(
            _gguf(entry, one, quantization, size)
            for one in entry.gguf
            for quantization, size in one.sizes.items()
        ),
    )


def _safetensors(entry: Entry, one: SafetensorsOffer) -> Offer:
    files = () if one.size_bytes is None else (_file("model.safetensors", one.size_bytes),)
    facts = _facts(entry, WeightFormat.SAFETENSORS, one.quantization, files)
    return Offer(facts=facts, path=None, repository=one.repo, revision=one.revision)


def _gguf(entry: Entry, one: GgufOffer, quantization: str, size: int | None) -> Offer:
    companions = tuple(_file(beside.file, beside.size_bytes) for beside in one.companions)
    files = () if size is None else (_file(f"{quantization}.gguf", size), *companions)
    facts = _facts(entry, WeightFormat.GGUF, quantization, files)
    if (projector := one.projector) is not None:
        weights = files or (_file("computed", facts.weight_bytes - facts.projector_bytes),)
        facts = msgspec.structs.replace(
            facts,
            projector_bytes=projector.size_bytes,
            files=(*weights, _file(projector.file, projector.size_bytes)),
        )
    return Offer(facts=facts, path=None, repository=one.repo, revision=one.revision)


def _facts(
    entry: Entry, format: WeightFormat, quantization: str, files: tuple[WeightFile, ...]
) -> ModelFacts:
    if entry.shape is None:
        return image_facts(
            FactsSource.CATALOG,
            format,
            entry.architecture or "",
            quantization=quantization,
            parameters=entry.parameters or 0,
            weight_bytes=sum(one.size_bytes for one in files),
            files=files,
        )
    return shape_facts(
        entry.shape,
        format,
        quantization,
        modality=entry.modality,
        context_length=entry.context_length or 0,
        files=files,
        has_chat_template=entry.modality in (Modality.TEXT, Modality.VISION),
    )


def _file(name: str, size_bytes: int) -> WeightFile:
    return WeightFile(name=name, size_bytes=size_bytes)
