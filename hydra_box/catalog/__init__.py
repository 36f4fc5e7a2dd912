"""The catalog: base models with a name, from ``models.toml``; hub repositories and local paths.

The packaged file comes first; entries of ``models.toml`` in the state directory are added to it
and replace those of the same id.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hydra_box.catalog.entry import Entry
from hydra_box.catalog.file import read_entries
from hydra_box.catalog.on_disk import (
    Shelf,
    offer_of_stored,
    offers_on_disk,
    stored_models,
    with_files,
)
from hydra_box.catalog.reference import PREFIX, HubReference, is_reference, is_repository, parse
from hydra_box.catalog.specs import ASSETS, spec_of_entry, spec_of_files, spec_of_offers
from hydra_box.config import Paths
from hydra_box.errors import HydraError, InvalidRequest, NotFound, RepositoryNotFound, Unavailable
from hydra_box.types import ModelSpec, Offer, WeightFormat

if TYPE_CHECKING:
    from hydra_box.models.hub import Hub

DEMO_MODEL = ASSETS / "demo" / "hydra-box-demo.gguf"
"""The model that is part of the package; runtimes are verified on it."""


class Catalog:
    """Model ids to entries; facts are read from files when they are asked for.

    Blocking where it reads files or asks the hub. Specs that no file can change are kept.
    """

    def __init__(
        self,
        entries: Mapping[str, Entry],
        *,
        hub: Hub | None = None,
        shelf: Shelf | None = None,
        owners: Path | None = None,
    ) -> None:
        """Make it; ``owners`` is the file that is read again when it has changed."""
        self._all = dict(sorted(entries.items()))
        self._owners = owners
        self._stamp = _stamp(owners)
        self._hub = hub
        self._shelf = shelf
        self._kept: dict[str, ModelSpec] = {}

    @classmethod
    def load(cls, paths: Paths, *, hub: Hub | None = None, shelf: Shelf | None = None) -> Catalog:
        """Read the packaged catalog and the owner's.

        Raises:
            ConfigError: names the file, the line and the key that is wrong.

        """
        owners = paths.catalog
        return cls(_read(owners), hub=hub, shelf=shelf, owners=owners)

    @property
    def entries(self) -> Mapping[str, Entry]:
        """What the files say, by id.

        Raises:
            ConfigError: the owner has changed the file, and something in it is wrong.

        """
        stamp = _stamp(self._owners)
        if self._owners is not None and stamp != self._stamp:
            self._all = dict(sorted(_read(self._owners).items()))
            self._kept.clear()
            self._stamp = stamp
        return self._all

    def list(self) -> tuple[ModelSpec, ...]:
        """Every entry whose facts are at hand, by id, without asking the hub.

        ``problems`` tells of those whose files cannot be read, ``unread`` of those whose facts
        are on the hub alone.
        """
        return tuple(spec for spec in self._specs() if isinstance(spec, ModelSpec))

    def problems(self) -> tuple[str, ...]:
        """One line for each entry whose file cannot be read."""
        return tuple(problem for problem in self._specs() if isinstance(problem, str))

    def unread(self) -> tuple[str, ...]:
        """Ids of the entries that are listed once ``resolve`` has asked the hub about them."""
        return tuple(
            id for id, entry in self.entries.items() if entry.needs_hub and id not in self._kept
        )

    def resolve(self, model: str) -> ModelSpec:
        """The model that ``model`` names.

        A catalog id, ``hf:org/repo[:file or quantisation][@revision]``, the name of a model in
        the library, or the path of a GGUF file or of a directory with safetensors.

        Raises:
            NotFound: no such id (with the nearest ids), file, directory or repository.
            InvalidModel: it cannot be read or served.
            Forbidden: the repository is gated.
            Unavailable: the hub cannot be reached.

        """
        entries = self.entries
        if model in entries:
            return with_files(self._shelf, self._read(model, entries[model]))
        stored = {one.name: one for one in stored_models(self._shelf)}
        if model in stored:
            one = stored[model]
            return spec_of_offers(model, model, (offer_of_stored(one),))
        if is_reference(model):
            return self._spec_of_repository(model)
        if "/" in model or model.endswith(".gguf"):
            return _spec_of_path(model)
        near = difflib.get_close_matches(model, [*entries, *stored], n=3, cutoff=0.5)
        which = f"did you mean {', '.join(near)}" if near else "`hydra-box models list` has them"
        raise NotFound(
            f"the catalog has no model {model!r}",
            hint=f"{which}; or give hf:org/repo, or the path of a GGUF file or a model directory",
            param="model",
        )

    def on_the_hub(self, model: str) -> ModelSpec:
        """What ``model`` names on the hub, whether it is on this machine or not.

        Raises:
            InvalidRequest: it is on this machine only.
            HydraError: as ``resolve``.

        """
        if is_reference(model):
            return self._ask_hub(model, parse(model))
        entry = self.entries.get(model)
        spec = self.resolve(model) if entry is None else self._read(model, entry)
        offers = tuple(one for one in spec.offers if one.repository is not None)
        if not offers:
            raise InvalidRequest(
                f"{model} does not come from the hub",
                hint="to take it into the library: hydra-box models import PATH",
                param="model",
            )
        return msgspec.structs.replace(spec, offers=offers)

    def _specs(self) -> Iterator[ModelSpec | str]:
        """Each entry's spec, or what is wrong with it."""
        unread = self.unread()
        for id, entry in self.entries.items():
            if id in unread:
                continue
            try:
                yield with_files(self._shelf, self._kept.get(id) or self._read(id, entry))
            except HydraError as error:
                yield f"model {id!r}: {error.message}"

    def _read(self, id: str, entry: Entry) -> ModelSpec:
        spec = spec_of_entry(id, entry, self._offers_of_hub(id, entry) if entry.needs_hub else ())
        if not (entry.asset or entry.path):
            self._kept[id] = spec
        return spec

    def _offers_of_hub(self, id: str, entry: Entry) -> tuple[Offer, ...]:
        hub = self._reachable()
        found = [
            offer
            for one in entry.safetensors
            for offer in hub.offers(one.repo, revision=one.revision)
            if offer.facts.format is WeightFormat.SAFETENSORS
        ]
        found += [
            offer
            for one in entry.gguf
            for offer in hub.offers(one.repo, revision=one.revision)
            if offer.facts.format is WeightFormat.GGUF
            and (not one.sizes or offer.facts.quantization in one.sizes)
        ]
        if not found:
            raise NotFound(
                f"the repositories of model {id!r} have none of the weights that its entry names",
                hint="compare its 'quantizations' with the files on the hub",
                param="model",
            )
        return tuple(found)

    def _spec_of_repository(self, model: str) -> ModelSpec:
        reference = parse(model)
        try:
            spec = self._ask_hub(model, reference)
        except Unavailable:
            # What is on the disk can be served without the hub.
            offers = offers_on_disk(self._shelf, reference)
            if not offers:
                raise
            return spec_of_offers(model, _short(reference), offers)
        return with_files(self._shelf, spec)

    def _ask_hub(self, model: str, reference: HubReference) -> ModelSpec:
        try:
            offers = self._reachable().offers(
                reference.repository, revision=reference.revision, file=reference.file
            )
        except RepositoryNotFound as error:
            near = difflib.get_close_matches(reference.repository, self._repositories(), n=3)
            if not near:
                raise
            names = " or ".join(f"{PREFIX}{one}" for one in near)
            raise RepositoryNotFound(
                error.message, hint=f"did you mean {names}? {error.hint}", param="model"
            ) from error
        return spec_of_offers(model, _short(reference), offers)

    def _repositories(self) -> set[str]:
        """Every repository of the hub that the catalog or the library knows."""
        known = {one.repository for one in stored_models(self._shelf) if one.repository is not None}
        for entry in self.entries.values():
            known |= {one.repo for one in entry.safetensors} | {one.repo for one in entry.gguf}
        return known

    def _reachable(self) -> Hub:
        if self._hub is None:
            raise Unavailable(
                "the hub is not reachable from here",
                hint="give the path of a GGUF file or of a directory with safetensors",
            )
        return self._hub


def _read(owners: Path) -> dict[str, Entry]:
    entries = read_entries(_packaged())
    return entries | read_entries(owners) if owners.exists() else entries


def _stamp(path: Path | None) -> tuple[int, int] | None:
    """What is another one when a file has changed; None: it is not there."""
    try:
        status = None if path is None else path.stat()
    except OSError:
        # No such file is the usual case.
        return None
    return None if status is None else (status.st_mtime_ns, status.st_size)


def _packaged() -> Path:
    installed = ASSETS / "models.toml"
    # In a source tree the file is at the root; the wheel carries it among the assets.
    return installed if installed.exists() else ASSETS.parent.parent / "models.toml"


def _spec_of_path(model: str) -> ModelSpec:
    path = Path(model).expanduser().absolute()
    name = path.stem if path.suffix == ".gguf" else path.name
    try:
        return spec_of_files(str(path), name, (path,))
    except NotFound as error:
        if is_repository(model):
            raise NotFound(
                error.message, hint=f"{PREFIX}{model} is the repository on the hub", param="model"
            ) from error
        raise


def _short(reference: HubReference) -> str:
    return reference.repository.rpartition("/")[2]
