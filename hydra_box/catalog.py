"""The catalog: base models with a name, from ``models.toml``; and local paths beside them.

The packaged file comes first; entries of ``models.toml`` in the state directory are added to it
and replace those of the same id.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from hydra_box.config import Paths
from hydra_box.errors import ConfigError, HydraError, NotFound
from hydra_box.models.gguf import read_facts
from hydra_box.types import Frozen, ModelSpec

ASSETS = Path(__file__).parent / "assets"
DEMO_MODEL = ASSETS / "demo" / "hydra-box-demo.gguf"
"""The model that is part of the package; runtimes are verified on it."""

_ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")


class Entry(Frozen, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[models.<id>]`` table; exactly one of ``asset`` and ``path`` says where the file is."""

    name: str | None = None
    """For people; else the model's own name is shown."""
    asset: str | None = None
    """Relative to the package's assets."""
    path: str | None = None
    """Absolute, or relative to the file that has the entry."""
    license: str | None = None
    description: str = ""


class Catalog:
    """Model ids to entries; the facts are read from the files when they are asked for."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = dict(entries)

    @classmethod
    def load(cls, paths: Paths) -> Catalog:
        """Read the packaged catalog and the owner's.

        Raises:
            ConfigError: names the file and the key that is wrong.

        """
        entries = _read_file(_packaged())
        owners = paths.home / "models.toml"
        if owners.exists():
            entries |= _read_file(owners)
        return cls(entries)

    def list(self) -> tuple[ModelSpec, ...]:
        """Every entry whose file can be read, by id; ``problems`` tells of the others."""
        return tuple(spec for spec, _ in _specs(self._entries) if spec is not None)

    def problems(self) -> tuple[str, ...]:
        """One line for each entry whose file cannot be read."""
        return tuple(problem for _, problem in _specs(self._entries) if problem is not None)

    def resolve(self, model: str) -> ModelSpec:
        """The model that ``model`` names: an id of the catalog, or the path of a GGUF file.

        Raises:
            NotFound: no such id (with the nearest ids), or no such file.
            InvalidModel: the file cannot be read or served.

        """
        if model in self._entries:
            return _spec(model, self._entries[model])
        if "/" in model or model.endswith(".gguf"):
            return _spec_of_path(Path(model).expanduser().absolute())
        near = difflib.get_close_matches(model, self._entries, n=3, cutoff=0.5)
        which = f"did you mean {', '.join(near)}" if near else f"it has {', '.join(self._entries)}"
        raise NotFound(
            f"the catalog has no model {model!r}",
            hint=f"{which}; or give the path of a GGUF file",
            param="model",
        )


def _specs(entries: Mapping[str, Entry]) -> list[tuple[ModelSpec | None, str | None]]:
    found: list[tuple[ModelSpec | None, str | None]] = []
    for id, entry in sorted(entries.items()):
        try:
            found.append((_spec(id, entry), None))
        except HydraError as error:
            found.append((None, f"model {id!r}: {error.message}"))
    return found


def _packaged() -> Path:
    installed = ASSETS / "models.toml"
    # In a source tree the file is at the root; the wheel carries it among the assets.
    return installed if installed.exists() else ASSETS.parent.parent / "models.toml"


def _read_file(file: Path) -> dict[str, Entry]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    for key in document:
        if key != "models":
            raise ConfigError(f"{file}: unknown table {key!r}", hint="use [models.<id>] tables")
    tables = document.get("models", {})
    if not isinstance(tables, dict):
        raise ConfigError(f"{file}: 'models' is not a table", hint="use [models.<id>] tables")
    return {id: _entry(file, id, table) for id, table in tables.items()}


def _entry(file: Path, id: str, table: Any) -> Entry:
    where = f"{file}: models.{id}"
    if not _ID.fullmatch(id):
        raise ConfigError(
            f"{where} is not a valid id",
            hint="use lower-case letters, digits, dots, hyphens and underscores",
        )
    if isinstance(table, dict):
        for key in table:
            if key not in Entry.__struct_fields__:
                near = difflib.get_close_matches(key, Entry.__struct_fields__, n=1, cutoff=0.0)
                raise ConfigError(f"{where}.{key} is unknown", hint=f"the nearest is {near[0]!r}")
    try:
        entry = msgspec.convert(table, Entry)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error
    if (entry.asset is None) == (entry.path is None):
        raise ConfigError(f"{where} needs exactly one of 'asset' and 'path'")
    location = (
        ASSETS / entry.asset if entry.asset else file.parent / Path(entry.path or "").expanduser()
    )
    return msgspec.structs.replace(entry, path=str(location), asset=None)


def _spec(id: str, entry: Entry) -> ModelSpec:
    spec = _spec_of_path(Path(entry.path or ""))
    return msgspec.structs.replace(
        spec,
        id=id,
        name=entry.name or spec.name,
        license=entry.license,
        description=entry.description,
    )


def _spec_of_path(path: Path) -> ModelSpec:
    facts = read_facts(path)
    return ModelSpec(
        id=str(path),
        name=facts.name or path.stem,
        path=str(path),
        architecture=facts.architecture,
        size_bytes=facts.size_bytes,
        context_length=facts.context_length,
        has_chat_template=facts.has_chat_template,
        quantization=facts.quantization,
        parameters=facts.parameters,
    )
