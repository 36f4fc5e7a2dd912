"""Ollama's folder: manifests that name blobs, which are GGUF files without a suffix.

::

    manifests/registry.ollama.ai/library/llama3.2/1b    JSON: layers, each with type and digest
    blobs/sha256-<64 hex digits>
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from hydra_box.models.stores.candidate import Candidate, Walk, read_json

SOURCE = "Ollama"
MANIFEST_LIMIT_BYTES = 256 * 1024
_LAYER = "application/vnd.ollama.image."
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_OF_THE_SYSTEM = (
    "usr/share/ollama/.ollama/models",
    "var/lib/ollama/.ollama/models",
    "var/lib/ollama/models",
    "var/lib/ollama",
)
"""Where its packages for Linux keep models."""


class _Layer(msgspec.Struct):
    kind: str = msgspec.field(name="mediaType")
    digest: str


class _Manifest(msgspec.Struct):
    layers: tuple[_Layer, ...]


def ollama_folders(environ: Mapping[str, str], system: Path) -> Iterator[Path]:
    """Where Ollama may keep models on this machine."""
    if said := environ.get("OLLAMA_MODELS"):
        yield Path(said)
    if home := environ.get("HOME"):
        yield Path(home) / ".ollama" / "models"
    for place in _OF_THE_SYSTEM:
        yield system / place


def ollama_models(folder: Path, walk: Walk) -> Iterator[Candidate]:
    """The models whose manifests and blobs are there; one with an adapter is not a model alone."""
    for registry in walk.entries(folder / "manifests"):
        for namespace in walk.entries(registry):
            for model in walk.entries(namespace):
                for tag in walk.entries(model):
                    found = _candidate(folder, tag)
                    if found is not None:
                        yield found


def _candidate(folder: Path, tag: Path) -> Candidate | None:
    manifest = read_json(tag, _Manifest, limit_bytes=MANIFEST_LIMIT_BYTES)
    if manifest is None:
        return None
    blobs: dict[str, list[Path]] = {"model": [], "projector": [], "adapter": []}
    for layer in manifest.layers:
        digest, kind = _DIGEST.fullmatch(layer.digest), layer.kind.removeprefix(_LAYER)
        if kind in blobs:
            # What is no digest must not become a path.
            if digest is None:
                return None
            blobs[kind].append(folder / "blobs" / f"sha256-{digest[1]}")
    models, projectors = blobs["model"], blobs["projector"]
    if blobs["adapter"] or len(models) != 1 or len(projectors) > 1:
        return None
    if not all(os.path.isfile(one) for one in (*models, *projectors)):  # noqa: PTH113 - no raise
        return None
    return Candidate(
        source=SOURCE,
        path=models[0],
        name=f"{tag.parent.name}-{tag.name}",
        projector=projectors[0] if projectors else None,
    )
