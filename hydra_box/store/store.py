"""The store: everything that outlives the daemon, by type."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec
import sqlite_utils

from hydra_box.plan.usage import PUBLIC, UsedSpan, minutes_of
from hydra_box.store import checked, events, keys, requests, usage_sums, users
from hydra_box.store.database import Database
from hydra_box.store.opening import open_state
from hydra_box.store.recovery import Recovered
from hydra_box.store.requests import RequestsPage
from hydra_box.store.tables import (
    CORRECTIONS,
    DOWNLOADS,
    EVENTS,
    INSTANCES,
    KEYS,
    LOAD_TIMES,
    RUNTIMES,
    SERVICES,
    STORED_MODELS,
    UPSTREAMS,
    USERS,
)
from hydra_box.types import (
    ApiKey,
    Correction,
    Download,
    Event,
    Instance,
    LoadTime,
    RequestRecord,
    Runtime,
    Service,
    StoredModel,
    Upstream,
    User,
)


class Store:
    """Typed reads and writes; each is one transaction, carried out in the order asked for.

    Every method raises ``StateError`` when the file fails, and a write that has been awaited is
    on the disk.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        recovered: Recovered | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self.recovered = recovered
        """What was done at its opening, if the file was damaged."""

    @classmethod
    async def open(
        cls, path: Path, *, backups: Path | None = None, clock: Callable[[], float] = time.time
    ) -> Store:
        """The store in that file, which is made when it is missing.

        Args:
            path: the file.
            backups: directory of the box's own copies of it: one is made there before a migration,
                and the newest takes the place of a damaged file; None: neither is done.
            clock: Unix time.

        Raises:
            StateError: the file cannot be written, is damaged, or has a newer schema.
            DiskFull: there is no room for it.

        """
        database, recovered = await open_state(path, backups, clock)
        return cls(database, clock, recovered)

    async def close(self) -> None:
        """Finish the writes that were asked for and close the file."""
        await self._database.close()

    # --- users --------------------------------------------------------------

    async def local_user(self) -> User:
        """The user of this machine; made at the first call for this file, then always the same."""
        return await self._database.run(lambda db: users.find_or_make_local(db, self._clock()))

    async def users(self) -> list[User]:
        """Every user, oldest first."""
        return await self._database.run(USERS.select)

    async def save_user(self, user: User) -> None:
        """Insert the user, or replace the one of its id.

        Raises:
            Conflict: another user has the name.

        """
        await self._database.run(lambda db: checked.save_user(db, user))

    async def delete_user(self, user_id: str) -> None:
        """Remove the user with its keys, if it is there; it must have no service."""
        await self._database.run(lambda db: users.remove(db, user_id))

    # --- services -----------------------------------------------------------

    async def services(self) -> list[Service]:
        """Every service, oldest first."""
        return await self._database.run(SERVICES.select)

    async def save_service(self, service: Service) -> None:
        """Insert the service, or replace the one of its id.

        Raises:
            Conflict: another service has the name.
            NotFound: its owner does not exist.

        """
        await self._database.run(lambda db: checked.save_service(db, service))

    async def delete_service(self, service_id: str) -> None:
        """Remove the service and its instances' rows, if it is there."""
        await self._database.run(lambda db: SERVICES.delete(db, service_id))

    # --- upstreams ----------------------------------------------------------

    async def upstreams(self) -> list[Upstream]:
        """Every upstream, oldest first."""
        return await self._database.run(UPSTREAMS.select)

    async def save_upstream(self, upstream: Upstream) -> None:
        """Insert the upstream, or replace the one of its id; its service must be there."""
        await self._database.run(lambda db: UPSTREAMS.save(db, upstream))

    async def delete_upstream(self, upstream_id: str) -> None:
        """Remove the upstream, if it is there."""
        await self._database.run(lambda db: UPSTREAMS.delete(db, upstream_id))

    # --- instances ----------------------------------------------------------

    async def instances(self) -> list[Instance]:
        """Every instance, oldest first."""
        return await self._database.run(INSTANCES.select)

    async def save_instance(self, instance: Instance) -> None:
        """Insert the instance, or replace the one of its id.

        Raises:
            NotFound: its service does not exist.

        """
        await self._database.run(lambda db: checked.save_instance(db, instance))

    async def delete_instance(self, instance_id: str) -> None:
        """Remove the instance, if it is there."""
        await self._database.run(lambda db: INSTANCES.delete(db, instance_id))

    # --- keys ---------------------------------------------------------------

    async def keys(self) -> list[ApiKey]:
        """Every key, revoked ones too, oldest first."""
        return await self._database.run(KEYS.select)

    async def save_key(self, key: ApiKey) -> None:
        """Insert the key, or replace the one of its id.

        Raises:
            Conflict: another key that is not revoked has the name.
            NotFound: its owner does not exist.

        """
        await self._database.run(lambda db: checked.save_key(db, key))

    async def touch_keys(self, last_used_at: Mapping[str, float]) -> None:
        """Note when keys (by id) were last used; a time never moves backwards."""
        if last_used_at:
            times = dict(last_used_at)
            await self._database.run(lambda db: keys.touch(db, times))

    # --- usage --------------------------------------------------------------

    async def add_requests(self, records: Collection[RequestRecord]) -> None:
        """Add requests, and what they used: all or nothing, and none a second time."""

        def add(db: sqlite_utils.Database) -> None:
            usage_sums.add(db, minutes_of(requests.insert(db, records)))

        await self._database.run(add)

    async def add_usage(self, spans: Collection[UsedSpan]) -> None:
        """Add what was used by requests of which no more than that is known."""
        await self._database.run(lambda db: usage_sums.add(db, spans))

    async def usage(self, since: int, until: int) -> list[UsedSpan]:
        """What was used in the hours that begin from ``since`` to before ``until``."""
        return await self._database.run(lambda db: usage_sums.select(db, since, until))

    async def last_used(self) -> Mapping[str, float]:
        """Service id to when it was last called, to the minute, of those that ever were."""
        return await self._database.run(usage_sums.last_used)

    async def public_tokens(self, since: int) -> Mapping[str, int]:
        """Tokens of public services that each key, by its id, has used since then."""
        return await self._database.run(lambda db: usage_sums.tokens_since(db, since, f"{PUBLIC}*"))

    async def roll_up_usage(self, span: int, into: int, before: int) -> None:
        """Add what was used in spans that begin before a moment up to longer ones."""
        await self._database.run(lambda db: usage_sums.roll_up(db, span, into, before))

    async def requests(self, page: RequestsPage) -> list[tuple[int, RequestRecord]]:
        """One page of requests, each with the number of its row."""
        return await self._database.run(lambda db: requests.select(db, page))

    async def remove_requests(self, before: float, refused_before: float) -> None:
        """Forget each request that ended before then, and keep what it used."""
        await self._database.run(lambda db: requests.remove(db, before, refused_before))

    # --- events -------------------------------------------------------------

    async def add_event(self, event: Event) -> Event:
        """Store the event under the next number; returns it with that number as its id."""
        number = await self._database.run(lambda db: events.add(db, event))
        return msgspec.structs.replace(event, id=number)

    async def events(self, *, after: int = 0, limit: int = 200) -> list[Event]:
        """The first ``limit`` events with a greater id than ``after``, oldest first."""
        return await self._database.run(
            lambda db: EVENTS.select(db, "id > :after", after=after, limit=limit)
        )

    async def recent_events(
        self, *, service_id: str | None = None, limit: int = 200
    ) -> list[Event]:
        """The last ``limit`` events, of one service or of all, oldest first."""
        return await self._database.run(lambda db: events.recent(db, service_id, limit))

    # --- runtimes -----------------------------------------------------------

    async def runtimes(self) -> list[Runtime]:
        """Every runtime, by id."""
        return await self._database.run(RUNTIMES.select)

    async def save_runtime(self, runtime: Runtime) -> None:
        """Insert the runtime, or replace the one of its id."""
        await self._database.run(lambda db: RUNTIMES.save(db, runtime))

    async def delete_runtime(self, runtime_id: str) -> None:
        """Remove the runtime, if it is there."""
        await self._database.run(lambda db: RUNTIMES.delete(db, runtime_id))

    # --- corrections --------------------------------------------------------

    async def corrections(self) -> list[Correction]:
        """Every correction of the memory estimates, by id."""
        return await self._database.run(CORRECTIONS.select)

    async def save_correction(self, correction: Correction) -> None:
        """Insert the correction, or replace the one of its id."""
        await self._database.run(lambda db: CORRECTIONS.save(db, correction))

    async def load_times(self) -> list[LoadTime]:
        """How long each way of running took to get ready, by id."""
        return await self._database.run(LOAD_TIMES.select)

    async def save_load_time(self, load_time: LoadTime) -> None:
        """Insert the time, or replace the one of its id."""
        await self._database.run(lambda db: LOAD_TIMES.save(db, load_time))

    # --- models on the disk, and on the way to it -----------------------------

    async def stored_models(self) -> list[StoredModel]:
        """Every model of the library, oldest first."""
        return await self._database.run(STORED_MODELS.select)

    async def save_stored_model(self, model: StoredModel) -> None:
        """Insert the model, or replace the one of its id.

        Raises:
            Conflict: another model has the name or the path.

        """
        await self._database.run(lambda db: checked.save_stored_model(db, model))

    async def delete_stored_model(self, model_id: str) -> None:
        """Remove the model from the library, if it is there."""
        await self._database.run(lambda db: STORED_MODELS.delete(db, model_id))

    async def downloads(self) -> list[Download]:
        """Every download, oldest first."""
        return await self._database.run(DOWNLOADS.select)

    async def save_download(self, download: Download) -> None:
        """Insert the download, or replace the one of its id."""
        await self._database.run(lambda db: DOWNLOADS.save(db, download))

    async def delete_download(self, download_id: str) -> None:
        """Remove the download, if it is there."""
        await self._database.run(lambda db: DOWNLOADS.delete(db, download_id))
