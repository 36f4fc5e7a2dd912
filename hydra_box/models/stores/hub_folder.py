"""A cache of the hub: ``models--org--repo/snapshots/<commit>/``, links to whole files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from hydra_box.models.gguf_names import shard_groups
from hydra_box.models.safetensors_files import is_safetensors_model
from hydra_box.models.stores.candidate import Candidate, Walk
from hydra_box.types import Frozen

SOURCE = "Hugging Face cache"
_REPOSITORY = "models--"
_FOLDER = re.compile(r"models--[\w-][\w.-]*", re.ASCII)
_SNAPSHOTS = "snapshots"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DEEPEST = 3


class HubPlace(Frozen, frozen=True, kw_only=True):
    """A directory of a cache that has the files of one revision."""

    cache: Path
    repository: str
    revision: str

    @property
    def snapshot(self) -> Path:
        """The directory."""
        folder = _REPOSITORY + self.repository.replace("/", "--")
        return self.cache / folder / _SNAPSHOTS / self.revision


def hub_place(path: Path) -> HubPlace | None:
    """The snapshot that a path is in, or is; None: it is in no cache of the hub."""
    for at in (path, *path.parents):
        folder = at.parent.parent
        named = folder.name.startswith(_REPOSITORY) and at.parent.name == _SNAPSHOTS
        if named and _COMMIT.fullmatch(at.name):
            return HubPlace(cache=folder.parent, repository=_repository(folder), revision=at.name)
    return None


def hub_models(cache: Path, walk: Walk) -> Iterator[Candidate]:
    """The models of every snapshot: sets of GGUF files, and directories of safetensors."""
    for folder in walk.entries(cache):
        if not _FOLDER.fullmatch(folder.name):
            continue
        for snapshot in walk.entries(folder / _SNAPSHOTS):
            if _COMMIT.fullmatch(snapshot.name):
                yield from _models_of(snapshot, _repository(folder), walk)


def _models_of(snapshot: Path, repository: str, walk: Walk) -> Iterator[Candidate]:
    names = tuple(_names(snapshot, snapshot, walk, _DEEPEST))
    paths = [snapshot / parts[0] for parts in shard_groups(names)]
    if is_safetensors_model(names):
        paths.append(snapshot)
    for path in paths:
        yield Candidate(source=SOURCE, path=path, repository=repository)


def _names(directory: Path, root: Path, walk: Walk, deepest: int) -> Iterator[str]:
    """The files below a directory, relative to the root; links to directories are not followed."""
    for one in walk.entries(directory):
        if os.path.isfile(one):  # noqa: PTH113 - a link that leads nowhere raises nothing
            yield one.relative_to(root).as_posix()
        elif deepest > 1 and not one.is_symlink():
            yield from _names(one, root, walk, deepest - 1)


def _repository(folder: Path) -> str:
    return folder.name.removeprefix(_REPOSITORY).replace("--", "/", 1)
