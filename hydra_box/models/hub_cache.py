"""The hub's cache on this machine, in the layout that ``huggingface_hub`` gives it.

::

    models--org--repo/
        blobs/<checksum>                    the files
        snapshots/<commit>/<name>           links to them, by their names at a commit
        refs/<branch>                       the commit that a branch was at

Every program that uses the cache shares its files with the others.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from huggingface_hub.file_download import repo_folder_name

from hydra_box.models.claims import Claims
from hydra_box.types import ModelFile


def cache_directory(environ: Mapping[str, str], setting: str, home: Path) -> Path:
    """Where models from the hub are kept.

    Args:
        environ: the daemon's environment, with the variables of ``huggingface_hub``.
        setting: ``model_directory`` of the settings, which wins unless it is empty.
        home: the state directory, for a user without a home.
    """
    if setting:
        return Path(setting).expanduser().absolute()
    if cache := environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(cache).expanduser().absolute()
    if hub := environ.get("HF_HOME"):
        return Path(hub).expanduser().absolute() / "hub"
    if caches := environ.get("XDG_CACHE_HOME"):
        return Path(caches).absolute() / "huggingface" / "hub"
    if user := environ.get("HOME"):
        return Path(user).absolute() / ".cache" / "huggingface" / "hub"
    return home / "hub"


class HubCache:
    """Paths in the cache, and what is there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.claims = Claims()
        """The blobs that this process is fetching."""

    def repository(self, name: str) -> Path:
        """The directory of a repository."""
        return self.root / repo_folder_name(repo_id=name, repo_type="model")

    def blob(self, repository: str, digest: str) -> Path:
        """A file by its checksum."""
        return self.repository(repository) / "blobs" / digest

    def snapshot(self, repository: str, revision: str) -> Path:
        """The directory that has the files of a commit by their names."""
        return self.repository(repository) / "snapshots" / revision

    def has(self, repository: str, file: ModelFile) -> bool:
        """Whether a file is there as a whole: a blob has its name only then."""
        try:
            return self.blob(repository, file.digest or "").stat().st_size == file.size_bytes
        except OSError:
            # It is not there, or cannot be looked at: then it cannot be used either.
            return False

    def is_linked(self, repository: str, revision: str, file: ModelFile) -> bool:
        """Whether a commit has the file as a whole, as a link or as itself."""
        try:
            found = (self.snapshot(repository, revision) / file.name).stat()
        except OSError:
            # As above.
            return False
        return found.st_size == file.size_bytes

    def link(self, repository: str, revision: str, file: ModelFile) -> None:
        """Give a blob its name at a commit; where links are not possible, move it there.

        Raises:
            OSError: the cache cannot be written.
        """
        place = self.snapshot(repository, revision) / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        blob = self.blob(repository, file.digest or "")
        temporary = place.with_name(f".{place.name}.{os.getpid()}.hydra-box")
        temporary.unlink(missing_ok=True)
        try:
            temporary.symlink_to(os.path.relpath(blob, place.parent))
        except OSError:
            # Some network mounts have no links; huggingface_hub moves the file there, too.
            blob.replace(place)
        else:
            temporary.replace(place)

    def set_ref(self, repository: str, branch: str, revision: str) -> None:
        """Note which commit a branch was at; its snapshot has to be there.

        Raises:
            OSError: the cache cannot be written.
        """
        path = self.repository(repository) / "refs" / branch
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            file.write(revision)
        Path(file.name).replace(path)

    def remove(self, repository: str, revision: str, files: Iterable[ModelFile]) -> int:
        """Remove files of a commit, and their blobs where no other commit has them.

        Returns:
            The bytes that are free again.

        Raises:
            OSError: the cache cannot be written.
        """
        snapshot, freed = self.snapshot(repository, revision), 0
        for file in files:
            place = snapshot / file.name
            if not place.is_symlink() and place.is_file():
                freed += place.stat().st_size
            place.unlink(missing_ok=True)
            blob = self.blob(repository, file.digest or "")
            if file.digest and blob.exists() and not self._is_used(repository, file.digest):
                freed += blob.stat().st_size
                blob.unlink()
            _remove_empty(place.parent, snapshot.parent)
        if not snapshot.exists():
            self._remove_refs(repository, revision)
        self.tidy(repository)
        return freed

    def tidy(self, repository: str) -> None:
        """Remove the directory of a repository of which no file is left."""
        directory = self.repository(repository)
        if directory.exists() and not any(one for one in directory.rglob("*") if not one.is_dir()):
            shutil.rmtree(directory)

    def _is_used(self, repository: str, digest: str) -> bool:
        snapshots = self.repository(repository) / "snapshots"
        return any(
            one.is_symlink() and one.readlink().name == digest for one in snapshots.rglob("*")
        )

    def _remove_refs(self, repository: str, revision: str) -> None:
        refs = self.repository(repository) / "refs"
        for one in list(refs.rglob("*")):
            if one.is_file() and one.read_text().strip() == revision:
                one.unlink()
                _remove_empty(one.parent, refs.parent)


def _remove_empty(directory: Path, end: Path) -> None:
    """Remove a directory and those above it that are empty now, up to ``end``."""
    while directory != end and end in directory.parents:
        with suppress(FileNotFoundError):
            if any(directory.iterdir()):
                return
            directory.rmdir()
        directory = directory.parent
