"""The library: models on this machine's disks; the one writer of their rows."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping

import msgspec

from hydra_box.config import Paths, Settings
from hydra_box.errors import Conflict, HydraError
from hydra_box.importer import Importer, name_of_hub_model, places
from hydra_box.journal import Record
from hydra_box.messages import ImportRequest
from hydra_box.models import stores
from hydra_box.models.hub_cache import HubCache, cache_directory
from hydra_box.models.stored_files import (
    check_files,
    delete_copies,
    delete_from_cache,
    delete_links,
)
from hydra_box.models.wanted import path_of
from hydra_box.stoppable import stoppable
from hydra_box.store import Store
from hydra_box.stored_rows import StoredRows
from hydra_box.types import (
    DesiredState,
    Download,
    FoundModel,
    Service,
    Severity,
    StoredAs,
    StoredModel,
    WeightFormat,
)

log = logging.getLogger(__name__)


class Library:
    """Knows every whole model on the disk, takes models in, and removes them."""

    def __init__(
        self,
        *,
        store: Store,
        paths: Paths,
        cache: HubCache,
        settings: Settings,
        environ: Mapping[str, str],
        services: Callable[[], Iterable[Service]],
        record: Record,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make it; ``services`` tells what must keep its model, ``record`` is told what happens.

        What a download brings is told of by the download.
        """
        self._rows = StoredRows(store)
        self._importer = Importer(
            self._rows,
            paths=paths,
            cache=cache.root,
            reserve_bytes=settings.disk_reserve_bytes,
            record=record,
            clock=clock,
        )
        self._paths = paths
        self._cache = cache
        self._environ = environ
        self._services = services
        self._record = record
        self._clock = clock

    async def load(self) -> None:
        """Read the rows, and bring to an end what an earlier daemon was importing."""
        await self._rows.load()
        await self._importer.settle()
        await self._rows.look()

    async def look(self) -> None:
        """Look whether the files of every model are still there; ``problem`` tells of the others.

        ``load`` and ``scan`` do, and ``list`` does not: a network mount that hangs would hang
        the box.
        """
        await self._rows.look()

    # --- what there is -----------------------------------------------------------

    def list(self) -> tuple[StoredModel, ...]:
        """Every model, by name."""
        return self._rows.list()

    def get(self, name: str) -> StoredModel:
        """A model by its name, id or path.

        Raises:
            NotFound: with the nearest names.

        """
        return self._rows.get(name)

    def find(
        self,
        repository: str,
        format: WeightFormat,
        quantization: str | None,
        revision: str | None = None,
    ) -> StoredModel | None:
        """The model with these weights of the hub; of several the newest that is whole."""
        return self._rows.find(repository, format, quantization, revision)

    def services_of(self, model: StoredModel) -> tuple[str, ...]:
        """Names of the services that are served from a model's files, or may go back to them."""
        return tuple(
            sorted(
                one.name
                for one in self._services()
                if model.path in (one.model_path, one.previous and one.previous.model_path)
                and one.desired_state is not DesiredState.DELETED
            )
        )

    async def scan(self) -> tuple[FoundModel, ...]:
        """Models that other programs have on this machine."""
        # This user's own cache is one of them, when the box keeps its models elsewhere.
        caches = (self._cache.root, cache_directory(self._environ, "", self._paths.home))
        found = await asyncio.to_thread(stores.scan, self._environ, caches)
        await self._rows.look()
        known = await asyncio.to_thread(places, self._rows.list())
        return await asyncio.to_thread(_marked, found, known)

    # --- what comes, and goes ------------------------------------------------------

    async def add_download(self, download: Download) -> StoredModel:
        """Take in what a download has brought; it replaces an older revision of the same.

        The older one's files go, unless a service is served from them.
        """
        snapshot = self._cache.snapshot(download.repository, download.revision)
        path = str(path_of(snapshot, download.format, download.files))
        async with self._rows.writing:
            name = name_of_hub_model(
                self._rows,
                download.repository,
                download.format,
                download.quantization,
                download.files[0].name,
            )
            old = self._rows.at(path) or self._rows.named(name)
            now = self._clock()
            new = StoredModel(
                id=f"mdl-{secrets.token_hex(6)}" if old is None else old.id,
                name=name if old is None else old.name,
                stored_as=StoredAs.HUB,
                path=path,
                format=download.format,
                quantization=download.quantization,
                repository=download.repository,
                revision=download.revision,
                files=download.files,
                allows_code=download.allows_code,
                added_at=now,
                verified_at=now,
                last_used_at=None if old is None else old.last_used_at,
            )
            await self._rows.save(new)
            if old is not None and old.path != path and not self.services_of(old):
                await self._delete_replaced(old)
        return new

    async def import_(self, request: ImportRequest) -> StoredModel:
        """Take in a model that is on this machine: where it is, or as a copy.

        Raises:
            NotFound: nothing is there, or a file of the model is missing.
            InvalidModel: it is no model, it is broken, or the projector is not its own.
            InvalidRequest: a path or the name cannot be one.
            Conflict: the name is taken, or the library has the model.
            DiskFull: there is no room for the copy.
            StateError: a file cannot be read or written.

        """
        return await self._importer.run(request)

    async def verify(self, name: str) -> StoredModel:
        """Compare every file of a model with its checksum; ``problem`` says what is not right.

        Raises:
            NotFound: there is no such model.
            Conflict: the model was replaced or removed meanwhile.

        """
        model, stop = self.get(name), threading.Event()
        checking = asyncio.to_thread(check_files, model, stop)
        files, problem = await stoppable(checking, stop)
        async with self._rows.writing:
            row = self._rows.with_id(model.id)
            if row is None or (row.path, row.files) != (model.path, model.files):
                raise Conflict(
                    f"{model.name} was replaced or removed while it was verified",
                    hint="verify it again",
                )
            verified_at = self._clock() if problem is None else row.verified_at
            row = msgspec.structs.replace(
                row, files=files, problem=problem, verified_at=verified_at
            )
            await self._rows.save(row)
            if problem is None:
                self._record("model.verified", f"{row.name} is whole: every file is right")
            else:
                told = f"{row.name} is damaged: {problem}"
                self._record("model.verified", told, severity=Severity.WARNING)
        return row

    async def remove(self, name: str) -> int:
        """Remove a model that no service uses; the bytes that this frees.

        Raises:
            NotFound: there is no such model.
            Conflict: services use it.
            StateError: its files cannot be deleted.

        """
        async with self._rows.writing:
            model = self.get(name)
            if users := self.services_of(model):
                raise Conflict(
                    f"{model.name} is used by {', '.join(users)}",
                    hint=f"delete the service first: hydra-box delete {users[0]} "
                    f"--confirm {users[0]}",
                    param="name",
                )
            freed_bytes = await self._delete_files(model)
            await self._rows.delete(model)
            self._record("model.removed", f"{model.name} is not in the library any more")
        return freed_bytes

    async def touch(self, path: str) -> None:
        """Note that the model at a path is used, if it is one of the library."""
        async with self._rows.writing:
            if (row := self._rows.at(path)) is not None:
                await self._rows.save(msgspec.structs.replace(row, last_used_at=self._clock()))

    # --- inside --------------------------------------------------------------------

    async def _delete_files(self, model: StoredModel) -> int:
        directory = self._paths.imported / model.name
        match model.stored_as:
            case StoredAs.HUB:
                others = self._rows.list()
                return await asyncio.to_thread(delete_from_cache, self._cache, model, others)
            case StoredAs.COPY:
                return await asyncio.to_thread(delete_copies, directory)
            case StoredAs.REFERENCE:
                await asyncio.to_thread(delete_links, directory)
                return 0

    async def _delete_replaced(self, old: StoredModel) -> None:
        try:
            await self._delete_files(old)
        except HydraError as error:
            # The new one is here, and that is what was asked for.
            log.warning("%s stays on the disk: %s", old.path, error.message)


def _marked(found: Iterable[FoundModel], known: Mapping[str, str]) -> tuple[FoundModel, ...]:
    """The models that were found, those of the library marked. Blocking."""
    return tuple(
        msgspec.structs.replace(one, in_library=os.path.realpath(one.path) in known)
        for one in found
    )
