"""What was used, by whom, of what: the one writer of the books.

A request is in the journal when ``record`` returns, and in memory until it is stored, in batches,
so that no request waits for the database. What is still in memory counts in every report.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo

from hydra_box.clock_trust import ClockTrust
from hydra_box.config import Settings
from hydra_box.errors import HydraError, StateError
from hydra_box.local_zone import LocalZone
from hydra_box.messages import Attention
from hydra_box.plan.energy import ShareEnergy
from hydra_box.plan.usage import (
    PUBLIC,
    QuotaUse,
    UsedSpan,
    minutes_of,
    period_of,
)
from hydra_box.plan.words import counted
from hydra_box.store import Store
from hydra_box.store.requests import RequestsPage
from hydra_box.types import QuotaPeriod, RequestRecord
from hydra_box.usage.backlog import KEPT_REQUESTS, Backlog, OnDisk
from hydra_box.usage.journal import UsageJournal
from hydra_box.usage.storing import Storing
from hydra_box.usage.tidying import tidy

log = logging.getLogger(__name__)

WRITE_SECONDS = 2.0
"""From a request's end to its being stored."""

RETRY_SECONDS = 10.0
"""After a write that failed."""

TIDY_SECONDS = 3600.0

STORED_LATER = "usage could not be stored; that is tried again"


def no_energy(requests: Sequence[RequestRecord]) -> Mapping[str, int]:  # noqa: ARG001
    """Nothing is measured."""
    return {}


class UsageBooks:
    """Takes note of requests, stores them, and adds up what gets old.

    Args:
        store: where they stay.
        journal: where they are until then.
        settings: how long what is kept.
        share_energy: tells what the requests of a batch drew.
        clock: Unix time.
        zone: of the days of quotas.

    """

    def __init__(
        self,
        store: Store,
        journal: UsageJournal,
        settings: Settings,
        *,
        share_energy: ShareEnergy = no_energy,
        clock: Callable[[], float] = time.time,
        zone: tzinfo | None = None,
    ) -> None:
        self._store = store
        self._journal = journal
        self._settings = settings
        self._storing = Storing(store, journal, share_energy)
        self._clock = clock
        self._zone = zone or LocalZone()
        self._trust = ClockTrust()
        self._backlog = Backlog()
        """What the store does not have yet."""
        self._journal_fails = False
        self._store_fails = ""
        """What the last write into the store said, if it failed."""
        self._writing = asyncio.Lock()
        self._writer: asyncio.Task[None] | None = None

    async def replay(self) -> None:
        """Store what an earlier daemon had written in its journal and not stored.

        A request that is stored already is not stored again. To be called before the first
        ``record``.

        Raises:
            StateError: the journal cannot be read.

        """
        for number in await asyncio.to_thread(self._journal.left):
            try:
                requests = await asyncio.to_thread(self._journal.read, number)
            except OSError as error:
                raise StateError(
                    f"{error.filename} cannot be read: {error.strerror}",
                    hint="make it readable for the user of the daemon, or move it away",
                ) from error
            # One after another: a store that could not be written for days has left many.
            self._backlog.on_disk.append(OnDisk((number,), minutes_of(requests)))
        if self._backlog:
            log.info("%d requests of the daemon before are stored now", len(self._backlog))
        try:
            await self.flush()
        except HydraError:
            log.exception(STORED_LATER)
            self._write_later()

    def record(self, request: RequestRecord) -> None:
        """Take note of a request that is over; on return it outlives this process.

        A journal that cannot be written fails no request: it is in memory then until it is stored.
        """
        self._backlog.add(request, journaled=self._append(request))
        # Not while the writer is at work: it forgets the segments that are sealed when it ends.
        full = len(self._backlog.requests) >= KEPT_REQUESTS and not self._writing.locked()
        if full and self._store_fails:
            self._shrink()
        self._write_later()

    async def flush(self) -> None:
        """Store what the store does not have yet; who gives up waiting does not stop it.

        Raises:
            HydraError: it does not have it; that is tried again.

        """
        storing = asyncio.create_task(self._store_all())
        storing.add_done_callback(_seen)
        await asyncio.shield(storing)

    def trouble(self) -> Attention | None:
        """What a person should look at: requests that stay in memory, which has an end."""
        if not (self._store_fails or self._journal_fails):
            return None
        missing = len(self._backlog)
        are = "is" if missing == 1 else "are"
        fact = f"usage cannot be written: {counted(missing, 'request')} {are} not in the database"
        if self._store_fails:
            fact = f"{fact} ({self._store_fails})"
        if self._journal_fails:
            fact = f"{fact}, and some are in memory only"
        return Attention(message=fact, hint="free some space on the disk of the state directory")

    async def close(self) -> None:
        """Store the rest; nothing is recorded after it."""
        if self._writer is not None:
            async with self._writing:
                self._writer.cancel()
            await asyncio.wait([self._writer])
        await self.flush()

    async def keep_tidy(self) -> None:
        """Add up what is old, and forget single requests that are, until cancelled."""
        while True:
            try:
                if self._trust.is_earned():
                    await self.tidy()
            except HydraError:
                log.exception("old usage could not be added up; that is tried again")
            await asyncio.sleep(TIDY_SECONDS)

    async def tidy(self) -> None:
        """Make hours of old minutes and days of old hours; forget single requests that are old."""
        await tidy(self._store, self._settings, self._clock())

    async def used(self, since: int, until: int) -> list[UsedSpan]:
        """What was used in the hours that begin from ``since`` to before ``until``."""
        # Nothing is on its way between memory and disk meanwhile, so each request counts once.
        async with self._writing:
            stored = await self._store.usage(since, until)
            return stored + [one for one in self._backlog.spans() if since <= one.start < until]

    async def requests(self, page: RequestsPage) -> list[tuple[int, RequestRecord]]:
        """One page of the single requests that are stored, each with the number of its row."""
        return await self._store.requests(page)

    async def quota_use(self) -> dict[str, QuotaUse]:
        """What each key, by its id, has used of public services in the present periods."""
        now, use = self._clock(), dict[str, dict[str, int]]()
        async with self._writing:
            pending = self._backlog.spans()
            for period in QuotaPeriod:
                since, _ = period_of(period, now, self._zone)
                for key_id, tokens in (await self._store.public_tokens(int(since))).items():
                    use.setdefault(key_id, {})[period.value] = tokens
                for one in pending:
                    if one.start >= since and one.access_name.startswith(PUBLIC):
                        of_key = use.setdefault(one.key_id, {})
                        tokens = one.prompt_tokens + one.completion_tokens
                        of_key[period.value] = of_key.get(period.value, 0) + tokens
        return {key_id: QuotaUse(**periods) for key_id, periods in use.items()}

    async def _store_all(self) -> None:
        async with self._writing:
            self._journal.seal()
            try:
                await self._store_requests()
                await self._store_on_disk()
                # Its own sums last, and in one transaction: those would count twice.
                if self._backlog.sums:
                    await self._store.add_usage(self._backlog.sums)
                    self._backlog.sums = []
            except HydraError as error:
                self._store_fails = error.message
                self._append_rest()
                raise
            self._store_fails, self._journal_fails = "", False
            self._forget_sealed()

    async def _store_requests(self) -> None:
        if not self._backlog.requests:
            return
        batch = self._storing.with_energy(self._backlog.take())
        try:
            await self._storing.add(batch)
        except BaseException:
            # To store a request twice changes nothing.
            self._backlog.put_back(batch)
            raise
        self._backlog.stored(batch)

    async def _store_on_disk(self) -> None:
        while self._backlog.on_disk:
            for number in self._backlog.on_disk[0].segments:
                try:
                    await self._storing.add(await asyncio.to_thread(self._journal.read, number))
                except OSError as error:
                    raise StateError(f"{error.filename}: {error.strerror}") from error
            del self._backlog.on_disk[0]

    def _append(self, request: RequestRecord) -> bool:
        """Write it into the journal; whether that went well."""
        try:
            self._journal.append(request)
        except OSError as error:
            if not self._journal_fails:
                log.error("requests cannot be written in the journal of usage: %s", error)
            self._journal_fails = True
            return False
        self._journal_fails = False
        return True

    def _append_rest(self) -> None:
        """The journal may have room where the store has none: what is in memory only goes there."""
        for request in self._backlog.in_memory_only():
            if not self._append(request):
                break
            self._backlog.journaled(request)

    def _shrink(self) -> None:
        """Keep the memory bounded while the store cannot be written."""
        self._journal.seal()
        if lost := self._backlog.shrink(self._journal.sealed):
            log.error("%d requests stay as sums only: neither disk nor memory has room", lost)

    def _forget_sealed(self) -> None:
        try:
            self._journal.remove_sealed()
        except OSError as error:
            log.error("a segment of the journal of usage cannot be removed: %s", error)

    def _write_later(self) -> None:
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_soon())

    async def _write_soon(self) -> None:
        pause = WRITE_SECONDS
        while self._backlog:
            await asyncio.sleep(pause)
            try:
                await self.flush()
                pause = WRITE_SECONDS
            except Exception:
                # Whatever it is: without a writer nothing would be stored any more.
                log.exception(STORED_LATER)
                pause = RETRY_SECONDS
        self._writer = None


def _seen(storing: asyncio.Task[None]) -> None:
    """Its error was raised to who waits, if anybody still does."""
    if not storing.cancelled():
        storing.exception()
