"""What one ``[models.<id>]`` table may say: the keys, their types, and the rules between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

import msgspec

from hydra_box.catalog.lines import KeyPath
from hydra_box.models.k_quants import base_quantization
from hydra_box.models.shapes import Shape
from hydra_box.models.tensor_sizes import LINEAR_BYTES
from hydra_box.types import EngineName, Frozen, Hosting, Modality

Text = Annotated[str, msgspec.Meta(min_length=1)]
Bytes = Annotated[int, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(gt=0)]
Price = Annotated[float, msgspec.Meta(ge=0)]
Repository = Annotated[str, msgspec.Meta(pattern=r"^[\w.-]+/[\w.-]+$")]
Tag = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Version = Annotated[str, msgspec.Meta(pattern=r"^\d+(\.\d+)*$")]
Quantization = Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9]+([_-][A-Z0-9]+)*$")]


class Table(Frozen, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every table of the catalog."""


class TokenPrice(Table, frozen=True, kw_only=True):
    """Price of a million tokens, in the box's own unit of account."""

    input: Price
    output: Price


class Projector(Table, frozen=True, kw_only=True):
    """The file that gives a GGUF model its eyes (``mmproj``)."""

    file: Text
    size_bytes: Bytes


class Companion(Table, frozen=True, kw_only=True):
    """A file that an image model's GGUF needs beside it: a text encoder, an autoencoder."""

    repo: Repository
    revision: Text = "main"
    file: Text
    size_bytes: Bytes


class SafetensorsOffer(Table, frozen=True, kw_only=True):
    """A hub repository of safetensors, for vLLM."""

    repo: Repository
    revision: Text = "main"
    quantization: Quantization = "BF16"
    size_bytes: Bytes | None = None
    """Exact, of all its weight files; None: computed from the shape."""


class GgufOffer(Table, frozen=True, kw_only=True):
    """A hub repository of GGUF files, for llama.cpp."""

    repo: Repository
    revision: Text = "main"
    quantizations: tuple[Quantization, ...] | dict[Quantization, Bytes] = ()
    """Those on offer, with exact sizes where they are a table; empty: the hub is asked."""
    projector: Projector | None = None
    """In the same repository."""
    companions: tuple[Companion, ...] = ()

    @property
    def sizes(self) -> dict[str, int | None]:
        """Each quantisation with its size, if that is known."""
        if isinstance(self.quantizations, dict):
            return dict(self.quantizations)
        return dict.fromkeys(self.quantizations)


class Entry(Table, frozen=True, kw_only=True):
    """One base model: where its weights are (``asset``, ``path``, repositories), and its facts."""

    name: Text | None = None
    """For people; else the model's own name is shown."""
    publisher: Text | None = None
    modality: Modality = Modality.TEXT
    license: Text | None = None
    description: str = ""
    tags: tuple[Tag, ...] = ()
    hosting: tuple[Hosting, ...] = (Hosting.MODEL_SERVICE,)
    parameters: Count | None = None
    active_parameters: Count | None = None
    """Those that work on one token, in a mixture of experts."""
    context_length: Count | None = None
    """Longest sequence it was trained for, in tokens."""
    minimum: dict[EngineName, Version] = msgspec.field(default_factory=dict)
    """The oldest version of an engine that serves it."""
    price: TokenPrice | None = None
    gated: bool = False
    """The publisher lets only those download it who have accepted a licence on the hub."""
    architecture: Text | None = None
    """Of a model without a shape: an image model's pipeline."""
    shape: Shape | None = None
    """Numbers of ``config.json``; None: sizes alone (image models), or the hub is asked."""
    safetensors: tuple[SafetensorsOffer, ...] = ()
    gguf: tuple[GgufOffer, ...] = ()
    asset: Text | tuple[Text, ...] = ()
    """Relative to the package's assets; several are the same model in several formats."""
    path: Text | tuple[Text, ...] = ()
    """Absolute, or relative to the file that has the entry."""

    @property
    def needs_hub(self) -> bool:
        """Its facts are neither here nor on this machine."""
        return bool(self.safetensors or self.gguf) and not self.is_sized

    @property
    def is_sized(self) -> bool:
        """The memory that it needs can be computed from the entry alone."""
        if self.modality is Modality.IMAGE:
            return all(one.size_bytes is not None for one in self.safetensors) and all(
                isinstance(one.quantizations, dict) for one in self.gguf
            )
        return self.shape is not None


Broken = tuple[KeyPath, str]
"""The key to look at, and what is wrong with it."""


def broken_rule(entry: Entry) -> Broken | None:
    """The first rule between keys that ``entry`` breaks."""
    return next((broken for rule in _RULES for broken in rule(entry)), None)


def _location(entry: Entry) -> Iterator[Broken]:
    given = [name for name in ("asset", "path") if getattr(entry, name)]
    repositories = bool(entry.safetensors or entry.gguf)
    if len(given) + repositories != 1:
        yield (
            tuple(given[:1]),
            "needs exactly one of 'asset', 'path' and repositories ('gguf', 'safetensors')",
        )


def _twice(entry: Entry) -> Iterator[Broken]:
    for key in ("tags", "hosting"):
        values = getattr(entry, key)
        for index, value in enumerate(values):
            if value in values[:index]:
                yield (key, index), f"names {str(value)!r} twice"


def _hosting(entry: Entry) -> Iterator[Broken]:
    if not entry.hosting:
        yield ("hosting",), "names no way to host it"
    if Hosting.MAAS_BY_TOKEN in entry.hosting and entry.price is None:
        yield ("hosting",), "has 'maas-by-token', which needs 'price'"


def _counts(entry: Entry) -> Iterator[Broken]:
    if entry.active_parameters is None:
        return
    if entry.parameters is None:
        yield ("active_parameters",), "needs 'parameters' too"
    elif entry.active_parameters > entry.parameters:
        yield ("active_parameters",), "is more than 'parameters'"


def _shape(entry: Entry) -> Iterator[Broken]:
    if entry.shape is None:
        return
    if not (entry.gguf or entry.safetensors):
        yield ("shape",), "is read from the file, where there is one"
    if entry.modality is Modality.IMAGE:
        yield ("shape",), "is for models of text; an image model has sizes"
    if entry.architecture is not None:
        yield ("architecture",), "belongs into 'shape', where there is one"
    if entry.context_length is None:
        yield ("shape",), "needs 'context_length' beside it"
    if entry.gguf and entry.shape.gguf_architecture is None:
        yield ("gguf",), "needs 'shape.gguf_architecture'"
    for index, offer in enumerate(entry.gguf):
        if not offer.quantizations:
            yield ("gguf", index), "needs 'quantizations', where there is a shape"


def _files(entry: Entry) -> Iterator[Broken]:
    for index, offer in enumerate(entry.gguf):
        if offer.projector is not None and entry.modality is not Modality.VISION:
            yield ("gguf", index, "projector"), "is for models whose 'modality' is 'vision'"
        if offer.companions and entry.modality is not Modality.IMAGE:
            yield ("gguf", index, "companions"), "are for models whose 'modality' is 'image'"


def _quantizations(entry: Entry) -> Iterator[Broken]:
    if entry.modality is Modality.IMAGE:
        return
    for index, offer in enumerate(entry.safetensors):
        if offer.quantization not in LINEAR_BYTES:
            key = ("safetensors", index, "quantization")
            yield key, f"names no quantisation of safetensors: {offer.quantization!r}"
    for index, one in enumerate(entry.gguf):
        inside = isinstance(one.quantizations, dict)
        for number, name in enumerate(one.quantizations):
            if base_quantization(name) is None:
                last = name if inside else number
                yield (
                    ("gguf", index, "quantizations", last),
                    f"is no quantisation of GGUF: {name!r}",
                )


def _image(entry: Entry) -> Iterator[Broken]:
    if entry.modality is not Modality.IMAGE:
        return
    for index, offer in enumerate(entry.safetensors):
        if offer.size_bytes is None:
            yield ("safetensors", index), "of an image model needs 'size_bytes'"
    for index, one in enumerate(entry.gguf):
        if not isinstance(one.quantizations, dict) or not one.quantizations:
            yield ("gguf", index), "of an image model needs 'quantizations' with their sizes"


_RULES: tuple[Callable[[Entry], Iterator[Broken]], ...] = (
    _location,
    _twice,
    _hosting,
    _counts,
    _shape,
    _files,
    _quantizations,
    _image,
)
