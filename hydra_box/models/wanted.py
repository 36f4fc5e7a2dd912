"""Which files of a hub repository a model is served from, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from msgspec.structs import replace

from hydra_box.errors import DownloadFailed, InvalidModel
from hydra_box.models.safetensors_files import PICKLES, PIPELINE
from hydra_box.types import Frozen, ModelFacts, ModelFile, ModelSpec, WeightFormat

_COMPANIONS = frozenset({".json", ".txt", ".model", ".tiktoken", ".jinja"})
"""Configuration, tokenizer and chat template, as transformers knows them."""
_POOLING = re.compile(r"\d+_\w+/config\.json")
"""A module of sentence-transformers: how an embedding is made of many."""
_CODE = ".py"


class Wanted(Frozen, frozen=True, kw_only=True):
    """What is to be fetched for one model, and where it will lie."""

    model: str
    """The MODEL as it was asked for."""
    repository: str
    revision: str
    """The commit."""
    branch: str | None
    """The branch that was asked for, if it was one."""
    format: WeightFormat
    quantization: str | None
    files: tuple[ModelFile, ...]
    allows_code: bool


def wanted_files(
    facts: ModelFacts,
    sizes: Mapping[str, int],
    digests: Mapping[str, str],
    *,
    allows_code: bool,
) -> tuple[ModelFile, ...]:
    """The files that a model needs, those of the weights first and in order.

    Of GGUF these are the parts of the model and its projector; of safetensors the weights with the
    configuration and the tokenizer. Pickles never are, and code only where the owner says so.

    Args:
        facts: the model.
        sizes: bytes of every file of the repository.
        digests: the hub's checksums of them.
        allows_code: take along the Python files that the repository brings.

    Raises:
        DownloadFailed: the hub has no checksum of a file.
    """
    weights = [one.name for one in facts.files]
    others: Iterable[str] = ()
    if facts.format is WeightFormat.SAFETENSORS:
        is_pipeline = PIPELINE in sizes
        others = (
            name
            for name in sorted(sizes)
            if name not in weights and _goes_along(name, is_pipeline, allows_code)
        )
    return tuple(_file(name, sizes, digests) for name in (*weights, *others))


def without_code(spec: ModelSpec) -> ModelSpec:
    """The model without the offers that only code of its own can run.

    Raises:
        InvalidModel: it has no others; says what allowing its code would mean.
    """
    offers = tuple(one for one in spec.offers if not one.facts.needs_code)
    if not offers:
        raise InvalidModel(
            f"{spec.name} ({spec.offers[0].facts.architecture}) needs Python code of its own "
            "(auto_map in its config.json)",
            hint="use its GGUF file or another model; --allow-code runs that code as the user of "
            "the daemon: it can read, change and send away all that this user can",
            param="model",
        )
    return replace(spec, offers=offers)


def path_of(snapshot: Path, format: WeightFormat, files: tuple[ModelFile, ...]) -> Path:
    """Where an engine finds the model, once its files are in the snapshot's directory."""
    return snapshot / files[0].name if format is WeightFormat.GGUF else snapshot


def _goes_along(name: str, is_pipeline: bool, allows_code: bool) -> bool:
    path = PurePosixPath(name)
    if path.suffix == _CODE:
        return allows_code
    if path.suffix not in _COMPANIONS or _is_index_of_pickles(path):
        return False
    depth = len(path.parts)
    return depth == 1 or (is_pipeline and depth == 2) or _POOLING.fullmatch(name) is not None


def _is_index_of_pickles(path: PurePosixPath) -> bool:
    return any(path.name.endswith(f"{suffix}.index.json") for suffix in PICKLES)


def _file(name: str, sizes: Mapping[str, int], digests: Mapping[str, str]) -> ModelFile:
    if name not in digests or name not in sizes:
        raise DownloadFailed(
            f"the hub has no checksum of {name}", hint="use another repository", param="model"
        )
    return ModelFile(name=name, size_bytes=sizes[name], digest=digests[name])
