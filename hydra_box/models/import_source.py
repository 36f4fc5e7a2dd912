"""A model on this machine that is to be imported: its files, and what they are called. Blocking."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from hydra_box.errors import InvalidRequest, NotFound
from hydra_box.models.digests import is_digest
from hydra_box.models.facts import read_facts
from hydra_box.models.stores.hub_folder import HubPlace, hub_place
from hydra_box.models.wanted import wanted_files
from hydra_box.types import Frozen, ModelFacts, ModelFile, WeightFormat

_GGUF = ".gguf"


class Piece(Frozen, frozen=True, kw_only=True):
    """One file of a model: its name in the model's directory, and where it lies now."""

    name: str
    path: Path


class Source(Frozen, frozen=True, kw_only=True):
    """A model that can be imported: it was looked into, and is whole."""

    path: Path
    """The first GGUF file, or the safetensors directory."""
    facts: ModelFacts
    pieces: tuple[Piece, ...]
    """The weights first, in order."""
    projector: Path | None = None
    """A vision projector that lies apart."""
    place: HubPlace | None = None
    """Where it is in a cache of the hub, if it is."""

    @property
    def needs_links(self) -> bool:
        """Whether an engine finds its files only under other names than they have."""
        if self.facts.format is WeightFormat.SAFETENSORS:
            return False
        return self.projector is not None or not self.path.name.endswith(_GGUF)

    @property
    def label(self) -> str:
        """What it is called; a file named by its content does not say, so its header does."""
        named_by_content = _digest_in(self.path.name) is not None
        return self.facts.name if named_by_content and self.facts.name else self.path.name


def read_source(path: Path, projector: Path | None) -> Source:
    """Look into a model that is to be imported.

    Args:
        path: a GGUF file (the first, of several) or a directory with safetensors; absolute.
        projector: its vision projector, if that lies apart.

    Raises:
        NotFound: nothing is there, or a file of the model is missing.
        InvalidModel: it is no model, it is broken, or it cannot be served safely.
        InvalidRequest: a path is not absolute, or safetensors were given a projector.
    """
    for one, name in ((path, "path"), (projector, "projector")):
        if one is not None and not one.is_absolute():
            raise InvalidRequest(
                f"{one} is not an absolute path", hint="give all of it", param=name
            )
    facts = read_facts(path)
    if projector is not None and not os.path.isfile(projector):  # noqa: PTH113 - it never raises
        raise NotFound(f"there is no file {projector}", hint="check the path", param="projector")
    if facts.format is WeightFormat.GGUF:
        return _gguf_source(path, projector, facts)
    if projector is not None:
        raise InvalidRequest(
            f"{path} has safetensors, which hold their own vision tower",
            hint="leave the projector out",
            param="projector",
        )
    place = hub_place(path)
    return Source(
        path=path,
        facts=facts,
        pieces=_pieces_of_directory(path, facts),
        place=place if place is not None and place.snapshot == path else None,
    )


def described(pieces: tuple[Piece, ...]) -> tuple[ModelFile, ...]:
    """The files with their sizes, and their checksums where their store tells them."""
    return tuple(
        ModelFile(name=one.name, size_bytes=one.path.stat().st_size, digest=_told_digest(one.path))
        for one in pieces
    )


def renamed(source: Source, name: str) -> tuple[Piece, ...]:
    """The files by the names that an engine needs; what has such a name keeps it."""
    if source.facts.format is WeightFormat.SAFETENSORS:
        return source.pieces
    pieces = []
    for one in source.pieces:
        own = PurePosixPath(one.name).name
        pieces.append(Piece(name=own if own.endswith(_GGUF) else f"{name}{_GGUF}", path=one.path))
    if source.projector is not None:
        pieces.append(Piece(name=f"mmproj-{name}{_GGUF}", path=source.projector))
    return tuple(pieces)


def _gguf_source(path: Path, projector: Path | None, facts: ModelFacts) -> Source:
    place = hub_place(path)
    root = path.parent if place is None else place.snapshot
    files = [path.with_name(one.name) for one in facts.files]
    if projector in files:
        projector = None
    elif projector is not None and facts.projector_bytes:
        # The one that was asked for takes the place of the one that lies beside the model.
        files.pop()
    return Source(
        path=path,
        facts=facts,
        pieces=tuple(Piece(name=str(one.relative_to(root)), path=one) for one in files),
        projector=projector,
        place=place,
    )


def _pieces_of_directory(directory: Path, facts: ModelFacts) -> tuple[Piece, ...]:
    """What a model of safetensors needs of its directory, as of a repository on the hub."""
    paths = {
        one.relative_to(directory).as_posix(): one
        for pattern in ("*", "*/*")
        for one in directory.glob(pattern)
        if one.is_file()
    }
    sizes = dict.fromkeys(paths, 0)
    # Names are all that is wanted here: sizes and checksums are looked up as for other files.
    wanted = wanted_files(facts, sizes, dict.fromkeys(paths, ""), allows_code=False)
    return tuple(Piece(name=one.name, path=paths[one.name]) for one in wanted)


def _told_digest(path: Path) -> str | None:
    """The checksum that is the name of the file that a link leads to, or of the file itself."""
    place = path.resolve()
    return _digest_in(place.name) if place.parent.name == "blobs" else None


def _digest_in(name: str) -> str | None:
    """The checksum that a store has named a file by: Ollama with a prefix, the hub's cache not."""
    digest = name.removeprefix("sha256-")
    return digest if is_digest(digest) else None
