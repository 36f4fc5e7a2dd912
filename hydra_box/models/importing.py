"""From files somewhere on this machine to a model of the library, by links or copies. Blocking.

A model's directory is made under another name and renamed when the library has its row, so that
what was interrupted is never taken for a model.
"""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Collection
from pathlib import Path

from hydra_box.errors import InvalidModel, StateError
from hydra_box.models.copying import check_room, copy_files
from hydra_box.models.facts import read_facts
from hydra_box.models.import_source import Piece, Source, described, renamed
from hydra_box.types import Frozen, ModelFile, StoredAs, StoredModel, WeightFormat


class Way(Frozen, frozen=True, kw_only=True):
    """How a model is taken in."""

    copies: bool
    """Copy its files; else they are used where they are."""
    imported: Path
    """Where the directories of imported models are."""
    cache: Path
    """The box's own cache of the hub: what is in there is the library's to remove."""
    reserve_bytes: int
    """Room that copies leave free on the disk."""


class _Directory(Frozen, frozen=True, kw_only=True):
    """A model's directory, whole and not in its place yet."""

    first: str
    """The first GGUF file in it; empty: the directory itself is the model."""
    quantization: str | None
    files: tuple[ModelFile, ...]


def stays(source: Source, *, copies: bool) -> bool:
    """Whether the model is used as it lies, without a directory of its own."""
    return not copies and not source.needs_links


def take(source: Source, name: str, way: Way, *, now: float, stop: threading.Event) -> StoredModel:
    """Make the row of a model, and its directory if it gets one; ``finish`` puts that in place.

    Args:
        source: the model.
        name: what it is to be called.
        way: how it is taken in.
        now: Unix time.
        stop: set it to have copying end with ``Stopped``.

    Raises:
        DiskFull: there is no room for the copies.
        InvalidModel: the projector is none of this model, it needs code, or a file changed while
            it was copied.
        StateError: a file cannot be read or written.
        Stopped: it was told to.

    """
    place = source.place
    if stays(source, copies=way.copies):
        ours = place is not None and place.cache == way.cache
        stored_as = StoredAs.HUB if ours else StoredAs.REFERENCE
        path = source.path
        quantization, files = source.facts.quantization, described(source.pieces)
    else:
        stored_as = StoredAs.COPY if way.copies else StoredAs.REFERENCE
        made = _make_directory(source, name, way, stop)
        path = way.imported / name / made.first
        quantization, files = made.quantization, made.files
    return StoredModel(
        id=f"mdl-{secrets.token_hex(6)}",
        name=name,
        stored_as=stored_as,
        path=str(path),
        format=source.facts.format,
        quantization=quantization,
        repository=None if place is None else place.repository,
        revision=None if place is None else place.revision,
        files=files,
        added_at=now,
    )


def finish(imported: Path, name: str) -> None:
    """Give a model's directory its name, once the library has its row.

    Raises:
        StateError: it cannot have it.

    """
    staging, directory = _staging(imported, name), imported / name
    if not staging.exists():
        return
    try:
        staging.rename(directory)
    except OSError as error:
        raise StateError(
            f"{staging} cannot become {directory}: {error.strerror}",
            hint="give another name, or move what is there",
        ) from error


def discard(imported: Path, name: str) -> None:
    """Remove what was made of a model that the library did not take."""
    shutil.rmtree(_staging(imported, name), ignore_errors=True)


def settle(imported: Path, names: Collection[str]) -> None:
    """Bring to an end what a killed daemon left half done.

    A directory whose model has a row in the library (``names``) is whole, and gets its place; any
    other goes.

    Raises:
        StateError: one cannot get its place.

    """
    for staging in imported.glob(".*.part"):
        name = staging.name[1 : -len(".part")]
        if name in names:
            finish(imported, name)
        else:
            discard(imported, name)


def _staging(imported: Path, name: str) -> Path:
    """Where the directory of a model is made; no model can have this name."""
    return imported / f".{name}.part"


def _make_directory(source: Source, name: str, way: Way, stop: threading.Event) -> _Directory:
    if way.copies and source.facts.needs_code:
        raise InvalidModel(
            f"{source.path} needs the Python code that lies beside it, and code is never copied",
            hint="import it without a copy",
            param="path",
        )
    directory = _staging(way.imported, name)
    pieces = renamed(source, name)
    try:
        _link(pieces, directory)
        first = pieces[0].name if source.facts.format is WeightFormat.GGUF else ""
        facts = read_facts(directory / first)
        if source.projector is not None and not facts.projector_bytes:
            raise InvalidModel(
                f"{source.projector} is not a vision projector of {source.path}",
                hint="give the mmproj file that was published with the model",
                param="projector",
            )
        files = described(pieces)
        if way.copies:
            check_room(directory, sum(one.size_bytes for one in files), way.reserve_bytes)
            copy_files([(one.path, directory / one.name) for one in pieces], stop)
    except BaseException:
        discard(way.imported, name)
        raise
    return _Directory(first=first, quantization=facts.quantization, files=files)


def _link(pieces: tuple[Piece, ...], directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True)
        for one in pieces:
            target = directory / one.name
            target.parent.mkdir(exist_ok=True)
            target.symlink_to(one.path)
    except OSError as error:
        raise StateError(
            f"{directory} cannot be made: {error.strerror}",
            hint="check the disk of the state directory",
        ) from error
