"""Makes the folders that other programs keep models in, out of files that exist."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_LAYER = "application/vnd.ollama.image."


def sha256(path: Path) -> str:
    """The checksum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def ollama_blob(folder: Path, file: Path) -> Path:
    """Put a file among Ollama's blobs."""
    blob = folder / "blobs" / f"sha256-{sha256(file)}"
    blob.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, blob)
    return blob


def ollama_manifest(folder: Path, name: str, layers: list[dict[str, object]]) -> Path:
    """Write the manifest of ``model:tag``, whatever its layers are."""
    model, _, tag = name.partition(":")
    path = folder / "manifests" / "registry.example" / "library" / model / tag
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))
    return path


def ollama_model(folder: Path, name: str, **files: Path) -> Path:
    """A model as Ollama pulls it: ``model=``, ``projector=``, ``adapter=``; returns its blob."""
    blobs = {kind: ollama_blob(folder, file) for kind, file in files.items()}
    license = {"mediaType": f"{_LAYER}license", "digest": "sha256:" + "0" * 64, "size": 1}
    ollama_manifest(folder, name, [license, *(layer(kind, one) for kind, one in blobs.items())])
    return blobs["model"]


def layer(kind: str, blob: Path) -> dict[str, object]:
    """The layer of a manifest that names a blob."""
    digest = blob.name.replace("sha256-", "sha256:")
    return {"mediaType": f"{_LAYER}{kind}", "digest": digest, "size": blob.stat().st_size}


def hub_snapshot(
    cache: Path, repository: str, files: dict[str, Path], *, revision: str = COMMIT
) -> Path:
    """A snapshot as the hub's own library makes it: links to blobs named by their content.

    Large files are named by SHA-256, others as git names them.
    """
    root = cache / f"models--{repository.replace('/', '--')}"
    snapshot = root / "snapshots" / revision
    for name, file in files.items():
        blob = root / "blobs" / hub_digest(file)
        blob.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, blob)
        link = snapshot / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return snapshot


def hub_digest(file: Path) -> str:
    """The name of a file's blob in the hub's cache."""
    if file.suffix in (".gguf", ".safetensors"):
        return sha256(file)
    content = file.read_bytes()
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


def files_in(directory: Path) -> dict[str, Path]:
    """Every file below a directory by its relative name."""
    return {
        one.relative_to(directory).as_posix(): one
        for one in sorted(directory.rglob("*"))
        if one.is_file()
    }
