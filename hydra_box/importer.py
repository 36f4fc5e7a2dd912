"""Models on this machine that become models of the library: their names, and carrying it out."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path

from hydra_box.config import Paths
from hydra_box.errors import Conflict, HydraError
from hydra_box.journal import Record
from hydra_box.messages import ImportRequest
from hydra_box.models.import_source import Source, read_source
from hydra_box.models.importing import Way, discard, finish, settle, stays, take
from hydra_box.models.stored_names import check_name, free_name, hub_name, name_from
from hydra_box.stoppable import stoppable
from hydra_box.stored_rows import StoredRows
from hydra_box.types import StoredModel, WeightFormat


class Importer:
    """Takes models in: where they are, or as copies."""

    def __init__(
        self,
        rows: StoredRows,
        *,
        paths: Paths,
        cache: Path,
        reserve_bytes: int,
        record: Record,
        clock: Callable[[], float],
    ) -> None:
        """Make it.

        Args:
            rows: gets the models.
            paths: where directories of imported models are.
            cache: the box's own cache of the hub.
            reserve_bytes: room that copies leave free on the disk.
            record: is told of what was taken in.
            clock: Unix time.

        """
        self._rows = rows
        self._imported = paths.imported
        self._cache = cache
        self._reserve_bytes = reserve_bytes
        self._record = record
        self._clock = clock
        self._underway: set[str] = set()
        """Names that are taken by models on their way in."""

    async def settle(self) -> None:
        """Bring to an end what an earlier daemon was importing."""
        await asyncio.to_thread(settle, self._imported, self._rows.names())

    async def run(self, request: ImportRequest) -> StoredModel:
        """Take a model in; see ``Library.import_``. One whose client has left is given up."""
        stop = threading.Event()
        return await stoppable(self._run(request, stop), stop)

    async def _run(self, request: ImportRequest, stop: threading.Event) -> StoredModel:
        projector = None if request.projector is None else Path(request.projector)
        source = await asyncio.to_thread(read_source, Path(request.path), projector)
        if not request.copy:
            await self._refuse_twice(source)
        async with self._rows.writing:
            name = await self._free_name(source, request)
            self._underway.add(name)
        way = Way(
            copies=request.copy,
            imported=self._imported,
            cache=self._cache,
            reserve_bytes=self._reserve_bytes,
        )
        try:
            row = await asyncio.to_thread(take, source, name, way, now=self._clock(), stop=stop)
            async with self._rows.writing:
                await self._keep(row)
                self._record("model.added", f"{row.name} is imported from {request.path}")
        finally:
            self._underway.discard(name)
        return row

    async def _keep(self, row: StoredModel) -> None:
        """Save the row and give the directory its name; neither stays without the other."""
        try:
            await self._rows.save(row)
            try:
                await asyncio.to_thread(finish, self._imported, row.name)
            except HydraError:
                await self._rows.delete(row)
                raise
        except HydraError:
            await asyncio.to_thread(discard, self._imported, row.name)
            raise

    async def _refuse_twice(self, source: Source) -> None:
        known = await asyncio.to_thread(places, self._rows.list())
        place = await asyncio.to_thread(os.path.realpath, source.path)
        if (found := known.get(place)) is not None:
            raise Conflict(
                f"the library has {source.path} already, as {found}",
                hint=f"hydra-box deploy {found}",
                param="path",
            )

    async def _free_name(self, source: Source, request: ImportRequest) -> str:
        """The name that was asked for, the hub's, or one made from the file's."""
        taken = self._rows.names() | self._underway
        if stays(source, copies=request.copy):
            own = self._name_on_hub(source, taken)
        else:
            own = None
            taken |= await asyncio.to_thread(_names_in, self._imported)
        if request.name is None:
            return own or free_name(name_from(source.label), taken)
        if request.name != own and check_name(request.name) in taken:
            raise Conflict(
                f"the name {request.name!r} is taken",
                hint=f"{free_name(request.name, taken)!r} is free",
                param="name",
            )
        return request.name

    def _name_on_hub(self, source: Source, taken: AbstractSet[str]) -> str | None:
        """What a model in a cache of the hub is called; a second revision has that in its name."""
        place, facts = source.place, source.facts
        if place is None:
            return None
        first = source.pieces[0].name
        name = name_of_hub_model(
            self._rows, place.repository, facts.format, facts.quantization, first
        )
        return f"{name}@{place.revision}" if name in taken else name


def name_of_hub_model(
    rows: StoredRows, repository: str, format: WeightFormat, quantization: str | None, first: str
) -> str:
    """A model's name; of two files of one quantisation, the second is named by its own."""
    name = hub_name(repository, format, quantization)
    other = rows.named(name)
    if format is WeightFormat.SAFETENSORS or other is None or other.files[0].name == first:
        return name
    return hub_name(repository, format, first)


def places(models: Iterable[StoredModel]) -> dict[str, str]:
    """Where models are, links followed, each with the model's name. Blocking."""
    return {os.path.realpath(one.path): one.name for one in models}


def _names_in(directory: Path) -> set[str]:
    return {one.name for one in directory.glob("*")}
