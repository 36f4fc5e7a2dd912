"""The one writer of downloads: a queue of models to fetch, carried out a few at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

import msgspec

from hydra_box.downloads.rows import DownloadRows, new_row
from hydra_box.downloads.transfers import Transfers
from hydra_box.errors import Conflict, HydraError
from hydra_box.journal import Journal
from hydra_box.library import Library
from hydra_box.messages import DownloadView
from hydra_box.models.wanted import Wanted
from hydra_box.stoppable import Stopped
from hydra_box.store import Store
from hydra_box.types import DesiredState, Download, DownloadState, Service

log = logging.getLogger(__name__)

SAMPLE_SECONDS = 0.5

D = DownloadState
_UNDER_WAY = (D.QUEUED, D.DOWNLOADING)


class Downloads:
    """The queue in the store, and what is done with it."""

    def __init__(
        self,
        *,
        store: Store,
        journal: Journal,
        library: Library,
        transfers: Transfers,
        jobs: int,
        services: Callable[[], Iterable[Service]],
        changed: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make it.

        Args:
            store: where the queue is.
            journal: is told what happens.
            library: gets what has arrived.
            transfers: carries the downloads out.
            jobs: how many at once.
            services: those that there are.
            changed: called whenever a download's state is another one.
            clock: Unix time.
        """
        self._journal = journal
        self._rows = DownloadRows(store, journal, changed)
        self._library = library
        self._transfers = transfers
        self._jobs = jobs
        self._services = services
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._busy: dict[str, str] = {}
        """Download to the repository of which nothing else may be fetched now."""
        self._closing = False

    async def load(self) -> None:
        """Read the queue, and go on with what an earlier daemon did not finish."""
        await self._rows.load()
        self._start_next()

    async def close(self) -> None:
        """Stop fetching; the next daemon goes on."""
        self._closing = True
        self._transfers.stop_all()
        if self._tasks:
            await asyncio.wait(self._tasks.values())
        self._transfers.close()

    # --- what there is -----------------------------------------------------------

    def list(self) -> tuple[DownloadView, ...]:
        """Every download, oldest first."""
        return tuple(self._view(one) for one in self._rows.list())

    def get(self, id: str) -> DownloadView:
        """A download by its id, or by the MODEL that it brings.

        Raises:
            NotFound: with the nearest.
        """
        return self._view(self._rows.find(id))

    def missing(self, service: Service) -> Download | None:
        """The download that a service still waits for; None: its model is here."""
        row = self._rows.with_id(service.download_id)
        return None if row is None or row.state is D.DONE else row

    def view_of(self, service: Service) -> DownloadView | None:
        """The download that a service still waits for, as shown."""
        row = self.missing(service)
        return None if row is None else self._view(row)

    # --- what others ask -----------------------------------------------------------

    async def want(self, wanted: Wanted, *, pulled: bool) -> Download:
        """Have a model fetched; one that is being fetched already is joined."""
        async with self._rows.writing:
            known = self._rows.same(wanted)
            if known is None:
                new = new_row(wanted, pulled=pulled, now=self._clock())
                row = await self._rows.save(new, "queued")
            else:
                row = await self._requeue(known, pulled=known.pulled or pulled)
        self._start_next()
        return row

    async def pause(self, id: str) -> DownloadView:
        """Stop fetching, and keep what has arrived.

        Raises:
            Conflict: it is over.
        """
        async with self._rows.writing:
            row = self._rows.find(id)
            if row.state not in (*_UNDER_WAY, D.PAUSED):
                raise Conflict(f"the download {row.id} of {row.model} is {row.state}")
            row = await self._rows.save(msgspec.structs.replace(row, state=D.PAUSED), "paused")
        await self._end(row.id)
        return self._view(row)

    async def resume(self, id: str) -> DownloadView:
        """Go on with a download that is paused or has failed."""
        async with self._rows.writing:
            row = await self._requeue(self._rows.find(id))
        self._start_next()
        return self._view(row)

    async def cancel(self, id: str) -> None:
        """Give a download up, and remove what has arrived of it; one that is over is forgotten.

        Raises:
            Conflict: services wait for it.
        """
        async with self._rows.writing:
            row = self._rows.find(id)
            if row.state is not D.DONE and (names := self._waiting_for(row)):
                raise Conflict(
                    f"{', '.join(names)} cannot start without {row.model}",
                    hint=f"hydra-box delete {names[0]}, or hydra-box models pause {row.id}",
                )
            await self._rows.delete(row)
            # Nobody else fetches from the repository until its partial files are gone.
            self._busy[row.id] = row.repository
        try:
            await self._end(row.id)
            if row.state is not D.DONE:
                await self._transfers.discard(row.repository, self._rows.unshared(row))
        finally:
            self._busy.pop(row.id, None)
            self._start_next()
        self._rows.record(row, "cancelled" if row.state is not D.DONE else "forgotten")

    async def release(self, service: Service) -> None:
        """A service does not want its model any more: pause the download if nobody else does."""
        row = self.missing(service)
        if row is None or row.pulled or row.state not in _UNDER_WAY:
            return
        if not [name for name in self._waiting_for(row) if name != service.name]:
            await self.pause(row.id)

    # --- fetching --------------------------------------------------------------------

    def _start_next(self) -> None:
        """Start what may start: a few at once, and one at a time from a repository."""
        for row in self._rows.list():
            if self._closing or len(self._tasks) >= self._jobs:
                return
            if row.state in _UNDER_WAY and row.repository not in self._busy.values():
                self._busy[row.id] = row.repository
                self._tasks[row.id] = asyncio.create_task(self._run(row.id), name=row.id)

    async def _run(self, id: str) -> None:
        """Fetch one, and note how it ended."""
        watching = asyncio.create_task(self._watch(id))
        try:
            await self._move(id, "started", state=D.DOWNLOADING, reason=None)
            row = self._rows.with_id(id)
            if row is not None and row.state is D.DOWNLOADING:
                await self._transfers.fetch(row)
                await self._arrived(id)
        except Stopped:
            # Whoever stopped it has written why; at the daemon's end it stays as it is.
            return
        except HydraError as error:
            hint = "" if error.hint is None else f"; hint: {error.hint}"
            await self._move(id, "failed", state=D.FAILED, reason=f"{error.message}{hint}")
        except Exception as error:
            # Left as it is, it would be started again and again; the next daemon may try.
            log.exception("the download %s broke", id)
            if (row := self._rows.with_id(id)) is not None:
                why = f"a fault of Hydra Box: {error}"
                self._rows.hold(msgspec.structs.replace(row, state=D.FAILED, reason=why))
        finally:
            watching.cancel()
            del self._tasks[id]
            if self._rows.with_id(id) is not None:
                del self._busy[id]
            self._start_next()

    async def _arrived(self, id: str) -> None:
        if (row := self._rows.with_id(id)) is not None:
            await self._transfers.point(row)
            await self._library.add_download(row)
            await self._move(id, "done", state=D.DONE, finished_at=self._clock(), reason=None)

    async def _watch(self, id: str) -> None:
        """Tell how far it is, while it goes on."""
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            await asyncio.to_thread(self._transfers.sample, id)
            if (row := self._rows.with_id(id)) is not None:
                self._journal.tell(
                    "download.progress",
                    f"{row.model} is being fetched",
                    download_id=id,
                    transfer=self._transfers.transfer(row),
                )

    async def _end(self, id: str) -> None:
        """Return once nothing fetches it any more."""
        self._transfers.stop(id)
        if task := self._tasks.get(id):
            await asyncio.wait({task})

    # --- rows ------------------------------------------------------------------------

    async def _requeue(self, row: Download, *, pulled: bool | None = None) -> Download:
        new = msgspec.structs.replace(row, pulled=row.pulled if pulled is None else pulled)
        if row.state in (D.PAUSED, D.FAILED):
            new = msgspec.structs.replace(new, state=D.QUEUED, reason=None)
            return await self._rows.save(new, "queued")
        return row if new == row else await self._rows.save(new)

    async def _move(self, id: str, what: str, **changes: object) -> None:
        """Change a row from inside a fetch; one that was paused or given up meanwhile stays so."""
        async with self._rows.writing:
            row = self._rows.with_id(id)
            if row is not None and row.state in _UNDER_WAY:
                await self._rows.save(msgspec.structs.replace(row, **changes), what)

    def _waiting_for(self, row: Download) -> tuple[str, ...]:
        return tuple(
            one.name
            for one in self._services()
            if one.download_id == row.id and one.desired_state is not DesiredState.DELETED
        )

    def _view(self, row: Download) -> DownloadView:
        return DownloadView(
            id=row.id,
            model=row.model,
            repository=row.repository,
            revision=row.revision,
            format=row.format,
            quantization=row.quantization,
            state=row.state,
            files=row.files,
            transfer=self._transfers.transfer(row),
            created_at=row.created_at,
            finished_at=row.finished_at,
            reason=row.reason or self._transfers.waiting(row.id),
            services=self._waiting_for(row),
        )
