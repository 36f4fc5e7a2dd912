"""The rows of the library: in the store first, then in memory."""

from __future__ import annotations

import asyncio
import difflib

import msgspec

from hydra_box.errors import NotFound
from hydra_box.models.stored_files import missing_files
from hydra_box.store import Store
from hydra_box.types import StoredModel, WeightFormat


class StoredRows:
    """Every model of the library; whoever changes one holds ``writing``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: dict[str, StoredModel] = {}
        self._missing: dict[str, str] = {}
        """What is not on the disk any more, by the id of the model."""
        self.writing = asyncio.Lock()

    async def load(self) -> None:
        """Read the rows of the store."""
        self._rows = {one.id: one for one in await self._store.stored_models()}

    async def look(self) -> None:
        """Look whether the files of every model are still there; ``problem`` tells of the others.

        It is not done whenever somebody asks: a network mount that hangs would hang the box.
        """
        rows = tuple(self._rows.values())
        found = await asyncio.to_thread(lambda: [(one.id, missing_files(one)) for one in rows])
        self._missing = {id: problem for id, problem in found if problem is not None}

    async def save(self, row: StoredModel) -> None:
        """Insert a row, or replace the one of its id.

        Raises:
            Conflict: another model has the name or the path.

        """
        await self._store.save_stored_model(row)
        self._rows[row.id] = row
        self._missing.pop(row.id, None)

    async def delete(self, row: StoredModel) -> None:
        """Remove a row."""
        await self._store.delete_stored_model(row.id)
        self._rows.pop(row.id, None)
        self._missing.pop(row.id, None)

    def list(self) -> tuple[StoredModel, ...]:
        """Every model, by name."""
        return tuple(sorted(map(self._shown, self._rows.values()), key=lambda one: one.name))

    def names(self) -> set[str]:
        """Every model's name."""
        return {one.name for one in self._rows.values()}

    def get(self, name: str) -> StoredModel:
        """A model by its name, id or path.

        Raises:
            NotFound: with the nearest names.

        """
        for one in self._rows.values():
            if name in (one.name, one.id, one.path):
                return self._shown(one)
        near = difflib.get_close_matches(name, sorted(self.names()), n=3, cutoff=0.4)
        which = f"did you mean {' or '.join(near)}?" if near else "hydra-box models stored has them"
        raise NotFound(f"the library has no model {name!r}", hint=which, param="name")

    def named(self, name: str) -> StoredModel | None:
        """The row of the model of that name."""
        return next((one for one in self._rows.values() if one.name == name), None)

    def at(self, path: str) -> StoredModel | None:
        """The row of the model at that path."""
        return next((one for one in self._rows.values() if one.path == path), None)

    def with_id(self, id: str) -> StoredModel | None:
        """The row of that id, as it is now."""
        return self._rows.get(id)

    def find(
        self,
        repository: str,
        format: WeightFormat,
        quantization: str | None,
        revision: str | None = None,
    ) -> StoredModel | None:
        """The model with these weights of the hub; of several the newest that is whole."""
        found = [
            one
            for one in self.list()
            if (one.repository, one.format, one.quantization) == (repository, format, quantization)
            and revision in (None, one.revision)
        ]
        return max(found, key=lambda one: (one.problem is None, one.added_at), default=None)

    def _shown(self, row: StoredModel) -> StoredModel:
        problem = self._missing.get(row.id)
        return row if problem is None else msgspec.structs.replace(row, problem=problem)
