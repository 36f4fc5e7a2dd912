"""The catalog: base models with a name, from ``models.toml``; hub repositories and local paths.

The packaged file comes first; entries of ``models.toml`` in the state directory are added to it
and replace those of the same id.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hydra_box.catalog.entry import Entry
from hydra_box.catalog.file import read_entries
from hydra_box.catalog.specs import ASSETS, spec_of_entry, spec_of_files, spec_of_offers
from hydra_box.config import Paths
from hydra_box.errors import HydraError, NotFound, Unavailable
from hydra_box.types import ModelSpec, Offer, WeightFormat

if TYPE_CHECKING:
    from hydra_box.models.hub import Hub

DEMO_MODEL = ASSETS / "demo" / "hydra-box-demo.gguf"
"""The model that is part of the package; runtimes are verified on it."""

_HUB = "hf:"
_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


class Catalog:
    """Model ids to entries; facts are read from files when they are asked for.

    Blocking where it reads files or asks the hub. Specs that no file can change are kept.
    """

    def __init__(self, entries: Mapping[str, Entry], *, hub: Hub | None = None) -> None:
        self._entries = dict(sorted(entries.items()))
        self._hub = hub
        self._kept: dict[str, ModelSpec] = {}

    @classmethod
    def load(cls, paths: Paths, *, hub: Hub | None = None) -> Catalog:
        """Read the packaged catalog and the owner's.

        Raises:
            ConfigError: names the file, the line and the key that is wrong.

        """
        entries = read_entries(_packaged())
        owners = paths.home / "models.toml"
        if owners.exists():
            entries |= read_entries(owners)
        return cls(entries, hub=hub)

    @property
    def entries(self) -> Mapping[str, Entry]:
        """What the files say, by id."""
        return self._entries

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
            id for id, entry in self._entries.items() if entry.needs_hub and id not in self._kept
        )

    def resolve(self, model: str) -> ModelSpec:
        """The model that ``model`` names.

        A catalog id, ``hf:org/repo[:file]``, or the path of a GGUF file or of a directory with
        safetensors.

        Raises:
            NotFound: no such id (with the nearest ids), file, directory or repository.
            InvalidModel: it cannot be read or served.
            Forbidden: the repository is gated.
            Unavailable: the hub cannot be reached.

        """
        if model in self._entries:
            return self._read(model)
        if model.startswith(_HUB):
            return self._spec_of_repository(model)
        if "/" in model or model.endswith(".gguf"):
            return _spec_of_path(model)
        near = difflib.get_close_matches(model, self._entries, n=3, cutoff=0.5)
        which = f"did you mean {', '.join(near)}" if near else "`hydra-box models list` has them"
        raise NotFound(
            f"the catalog has no model {model!r}",
            hint=f"{which}; or give hf:org/repo, or the path of a GGUF file or a model directory",
            param="model",
        )

    def _specs(self) -> Iterator[ModelSpec | str]:
        """Each entry's spec, or what is wrong with it."""
        unread = self.unread()
        for id in self._entries:
            if id in unread:
                continue
            try:
                yield self._spec(id)
            except HydraError as error:
                yield f"model {id!r}: {error.message}"

    def _spec(self, id: str) -> ModelSpec:
        return self._kept[id] if id in self._kept else self._read(id)

    def _read(self, id: str) -> ModelSpec:
        entry = self._entries[id]
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
        repository, _, file = model.removeprefix(_HUB).partition(":")
        if not _REPOSITORY.fullmatch(repository):
            raise NotFound(
                f"{model!r} is not the name of a hub repository",
                hint="write hf:org/repo, or hf:org/repo:Q4_K_M for one quantisation of it",
                param="model",
            )
        offers = self._reachable().offers(repository, file=file or None)
        return spec_of_offers(model, repository.rpartition("/")[2], offers)

    def _reachable(self) -> Hub:
        if self._hub is None:
            raise Unavailable(
                "the hub is not reachable from here",
                hint="give the path of a GGUF file or of a directory with safetensors",
            )
        return self._hub


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
        if _REPOSITORY.fullmatch(model):
            raise NotFound(
                error.message, hint=f"{_HUB}{model} is the repository on the hub", param="model"
            ) from error
        raise
