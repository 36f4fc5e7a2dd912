"""The one writer of desired state: what services should exist, stored before anybody is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from hydra_box.errors import HydraError
from hydra_box.journal import Journal
from hydra_box.messages import UpstreamRequest
from hydra_box.services.finding import check_free, check_live, find
from hydra_box.store import Store
from hydra_box.supervisor import Supervisor
from hydra_box.types import DesiredState, Service, Severity
from hydra_box.upstreams.registry import Upstreams


class Desired:
    """The services as they should be; each change goes to the supervisor and the upstreams."""

    def __init__(
        self, *, store: Store, supervisor: Supervisor, journal: Journal, upstreams: Upstreams
    ) -> None:
        self._store = store
        self._supervisor = supervisor
        self._journal = journal
        self._upstreams = upstreams
        self._services: dict[str, Service] = {}
        self.writing = asyncio.Lock()
        """To be held from looking at a service until it is put as it shall be."""

    async def load(self) -> tuple[Service, ...]:
        """Every service of the store; nobody is told."""
        self._services = {one.id: one for one in await self._store.services()}
        return tuple(self._services.values())

    def present(self) -> tuple[Service, ...]:
        """The services that have not been deleted to the end."""
        gone = [
            one.id
            for one in self._services.values()
            if one.desired_state is DesiredState.DELETED and not self._supervisor.has(one.id)
        ]
        for service_id in gone:
            del self._services[service_id]
        return tuple(self._services.values())

    def get(self, service_id: str) -> Service | None:
        """The service of that id, if it is there."""
        return self._services.get(service_id)

    def find(self, name: str) -> Service:
        """A service by name, id or access name.

        Raises:
            NotFound: with the nearest names.
        """
        return find(self.present(), name)

    def live(self, name: str) -> Service:
        """A service by name, id or access name, if it is there to stay.

        Raises:
            NotFound: with the nearest names.
            Conflict: it is being deleted.
        """
        return check_live(self.find(name))

    def check_free(self, name: str) -> None:
        """Whether a new service may have the name.

        Raises:
            Conflict: there is one.
        """
        check_free(name, {one.name for one in self.present()})

    async def add(self, service: Service, upstreams: Iterable[UpstreamRequest], what: str) -> None:
        """Make a service with all of its upstreams, or none; ``writing`` is held.

        Args:
            service: the new one.
            upstreams: that back it.
            what: the event that tells of it.
        """
        await self._store.save_service(service)
        try:
            for one in upstreams:
                await self._upstreams.add(service, one)
        except HydraError:
            await self._upstreams.forget(service.id)
            await self._store.delete_service(service.id)
            raise
        self._tell(service, what, "service.deployed", Severity.INFO)

    async def put(
        self,
        new: Service,
        what: str | None,
        *,
        kind: str = "service.changed",
        severity: Severity = Severity.INFO,
    ) -> None:
        """Have a service be so; ``writing`` is held.

        Args:
            new: as it is to be.
            what: the event that tells of it; None: nobody has to know.
            kind: of the event.
            severity: of the event.
        """
        await self._store.save_service(new)
        self._tell(new, what, kind, severity)

    async def exchange(
        self,
        old: Service,
        new: Service,
        what: str | None,
        *,
        kind: str = "service.changed",
        severity: Severity = Severity.INFO,
    ) -> bool:
        """Put a service in the place of what it was, unless it was changed meanwhile.

        Args:
            old: as it was when it was decided to change it.
            new: as it is to be.
            what: the event that tells of it; None: nobody has to know.
            kind: of the event.
            severity: of the event.
        """
        async with self.writing:
            if self._services.get(old.id) != old:
                return False
            await self.put(new, what, kind=kind, severity=severity)
            return True

    def _tell(self, service: Service, what: str | None, kind: str, severity: Severity) -> None:
        self._services[service.id] = service
        if what is not None:
            self._journal.record(kind, what, severity=severity, service=service)
        self._supervisor.put_service(service)
        self._upstreams.follow(service)
