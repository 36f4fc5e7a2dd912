"""LM Studio's folder: ``publisher/repository/*.gguf``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from hydra_box.models.gguf_names import shard_groups
from hydra_box.models.stores.candidate import Candidate, Walk, read_json

SOURCE = "LM Studio"
SETTINGS_LIMIT_BYTES = 1024 * 1024


class _Settings(msgspec.Struct):
    downloads_folder: str = msgspec.field(name="downloadsFolder", default="")


def lm_studio_folders(environ: Mapping[str, str]) -> Iterator[Path]:
    """Where LM Studio may keep models of this user: its own places, and the one it was told."""
    said = environ.get("HOME")
    if not said:
        return
    home = Path(said)
    yield home / ".lmstudio" / "models"
    yield home / ".cache" / "lm-studio" / "models"
    settings = read_json(
        home / ".lmstudio" / "settings.json", _Settings, limit_bytes=SETTINGS_LIMIT_BYTES
    )
    if settings is not None and settings.downloads_folder.startswith("/"):
        yield Path(settings.downloads_folder)


def lm_studio_models(folder: Path, walk: Walk) -> Iterator[Candidate]:
    """The whole models that are there; a projector lies beside its model."""
    for publisher in walk.entries(folder):
        for repository in walk.entries(publisher):
            for parts in shard_groups(one.name for one in walk.entries(repository)):
                yield Candidate(source=SOURCE, path=repository / parts[0], name=parts[0])
