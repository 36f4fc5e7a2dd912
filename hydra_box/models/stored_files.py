"""The files of a model of the library: are they there, are they right, away with them. Blocking."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import msgspec

from hydra_box.errors import StateError
from hydra_box.models.digests import SHA256_DIGITS, digest_of, kind_of
from hydra_box.models.hub_cache import HubCache
from hydra_box.stoppable import go_on
from hydra_box.types import ModelFile, StoredModel, WeightFormat

_SHA256 = "0" * SHA256_DIGITS
"""Stands for the kind of a checksum that is not known yet."""
_SHOWN_DIGITS = 12


def root_of(model: StoredModel) -> Path:
    """The directory that the names of a model's files start from."""
    path = Path(model.path)
    if model.format is WeightFormat.SAFETENSORS:
        return path
    return path.parents[len(PurePosixPath(model.files[0].name).parts) - 1]


def missing_files(model: StoredModel) -> str | None:
    """What is not there any more of a model; None: all of it is."""
    root = root_of(model)
    gone = [one.name for one in model.files if not os.path.isfile(root / one.name)]  # noqa: PTH113
    if not gone:
        return None
    return f"{len(gone)} of {len(model.files)} files are not in {root} any more, first {gone[0]}"


def check_files(
    model: StoredModel, stop: threading.Event
) -> tuple[tuple[ModelFile, ...], str | None]:
    """Compare every file with its checksum.

    Returns:
        The files, each with a checksum to be compared with the next time; and which are not right.

    Raises:
        Stopped: it was told to.

    """
    root = root_of(model)
    files: list[ModelFile] = []
    wrong: list[str] = []
    for one in model.files:
        try:
            file, problem = _check_file(root / one.name, one, stop)
        except OSError as error:
            file, problem = one, f"{one.name} cannot be read: {error.strerror}"
        files.append(file)
        wrong += [] if problem is None else [problem]
    return tuple(files), "; ".join(wrong) or None


def _check_file(path: Path, file: ModelFile, stop: threading.Event) -> tuple[ModelFile, str | None]:
    size_bytes = path.stat().st_size
    if size_bytes != file.size_bytes:
        return file, f"{file.name} has {size_bytes:,} bytes instead of {file.size_bytes:,}"
    found = digest_of(path, file.digest or _SHA256, progress=lambda _: go_on(stop))
    if file.digest is None:
        return msgspec.structs.replace(file, digest=found), None
    if found == file.digest:
        return file, None
    shown, wanted = found[:_SHOWN_DIGITS], file.digest[:_SHOWN_DIGITS]
    return file, (f"the {kind_of(file.digest)} of {file.name} is {shown}... instead of {wanted}...")


def delete_from_cache(cache: HubCache, model: StoredModel, others: Iterable[StoredModel]) -> int:
    """Remove a model from the hub's cache; the bytes that this frees.

    What another model has in the same snapshot stays there, as a projector may.

    Raises:
        StateError: it cannot be removed.

    """
    repository, revision = model.repository or "", model.revision or ""
    shared = {
        file.name
        for other in others
        if (other.repository, other.revision) == (repository, revision) and other.id != model.id
        for file in other.files
    }
    files = [one for one in model.files if one.name not in shared]
    try:
        return cache.remove(repository, revision, files)
    except OSError as error:
        raise _cannot_delete(cache.snapshot(repository, revision), error) from error


def delete_copies(directory: Path) -> int:
    """Remove a directory of copies, if it is there; the bytes that this frees.

    Raises:
        StateError: it cannot be removed.

    """
    try:
        freed = sum(one.lstat().st_size for one in directory.rglob("*") if one.is_file())
        shutil.rmtree(directory)
    except FileNotFoundError:
        # Somebody was faster.
        return 0
    except OSError as error:
        raise _cannot_delete(directory, error) from error
    return freed


def delete_links(directory: Path) -> None:
    """Remove a directory of links, if it is there, and nothing that is not a link.

    Raises:
        StateError: it cannot be removed.

    """
    try:
        for one in directory.iterdir():
            if one.is_symlink():
                one.unlink()
        if not any(directory.iterdir()):
            directory.rmdir()
    except FileNotFoundError:
        # Most models that are used where they are have no directory here.
        return
    except OSError as error:
        raise _cannot_delete(directory, error) from error


def _cannot_delete(directory: Path, error: OSError) -> StateError:
    return StateError(
        f"{directory} cannot be deleted: {error.strerror}",
        hint="check that this user may write there",
    )
