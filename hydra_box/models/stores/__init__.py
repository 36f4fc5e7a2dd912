"""Models in other programs' folders on this machine; they are read, and never changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from hydra_box.errors import HydraError
from hydra_box.models.facts import read_facts
from hydra_box.models.stored_names import hub_name, name_from
from hydra_box.models.stores.candidate import Candidate, Walk
from hydra_box.models.stores.hub_folder import hub_models
from hydra_box.models.stores.lm_studio import lm_studio_folders, lm_studio_models
from hydra_box.models.stores.ollama import ollama_folders, ollama_models
from hydra_box.types import FoundModel

__all__ = ["scan"]

MOST_MODELS = 2_000
READERS = 4
"""Headers that are read at once: enough for a disk, and little beside what the box is for."""


def scan(
    environ: Mapping[str, str], caches: Iterable[Path], *, system: Path = Path("/")
) -> tuple[FoundModel, ...]:
    """The whole models in the folders of other programs, by program and name. Blocking.

    What is broken is left out, whatever is wrong with it: the other program made it.

    Args:
        environ: says where this user's folders are.
        caches: the caches of the hub on this machine.
        system: where the folders that belong to no user begin.
    """
    candidates: dict[Path, Candidate] = {}
    for one in islice(_candidates(environ, caches, system), MOST_MODELS):
        # Ollama has several tags for the same weights.
        candidates.setdefault(one.path, one)
    with ThreadPoolExecutor(READERS, thread_name_prefix="scan") as readers:
        found = [one for one in readers.map(_look_at, candidates.values()) if one is not None]
    return tuple(sorted(found, key=lambda one: (one.source, one.name, one.path)))


def _candidates(
    environ: Mapping[str, str], caches: Iterable[Path], system: Path
) -> Iterator[Candidate]:
    walk = Walk()
    for folder in _each_once(caches):
        yield from hub_models(folder, walk)
    for folder in _each_once(lm_studio_folders(environ)):
        yield from lm_studio_models(folder, walk)
    for folder in _each_once(ollama_folders(environ, system)):
        yield from ollama_models(folder, walk)


def _each_once(folders: Iterable[Path]) -> Iterator[Path]:
    """The folders that are there; one that has several names by its first."""
    seen: set[Path] = set()
    for folder in folders:
        try:
            place = folder.resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            # Most of these programs are not on most machines, and a link may lead to itself.
            continue
        if place not in seen:
            seen.add(place)
            yield folder


def _look_at(candidate: Candidate) -> FoundModel | None:
    try:
        facts = read_facts(candidate.path)
        projector = candidate.projector
        size_bytes = facts.size_bytes + (projector.stat().st_size if projector else 0)
    except (HydraError, OSError):
        # Half a model, or none: importing it by its path says what is wrong with it.
        return None
    if candidate.repository is None:
        name = name_from(candidate.name)
    else:
        name = hub_name(candidate.repository, facts.format, facts.quantization)
    return FoundModel(
        name=name,
        source=candidate.source,
        path=str(candidate.path),
        format=facts.format,
        quantization=facts.quantization,
        size_bytes=size_bytes,
        projector=None if projector is None else str(projector),
    )
