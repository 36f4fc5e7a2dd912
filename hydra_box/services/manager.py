"""The one writer of desired state: what services should exist, and how they are shown."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from hydra_box.downloads import Downloads
from hydra_box.errors import Conflict, HydraError, InvalidRequest
from hydra_box.journal import Journal
from hydra_box.messages import (
    DeployRequest,
    EditRequest,
    PlanView,
    ScaleRequest,
    ServiceView,
)
from hydra_box.plan.names import check_service_name, suggest_service_name
from hydra_box.plan.ways import with_way
from hydra_box.planner import Planner
from hydra_box.services.deployer import Deployer
from hydra_box.services.deploying import check_planned
from hydra_box.services.editing import (
    as_asked,
    ask_of_edit,
    changes_nothing,
    check_downtime,
    difference,
    rolled_out,
)
from hydra_box.services.finding import (
    check_free,
    check_has_instances,
    check_live,
    find,
    target_of,
)
from hydra_box.services.terms import changes_terms_only, with_terms
from hydra_box.services.views import ServiceViews
from hydra_box.store import Store
from hydra_box.supervisor import Supervisor
from hydra_box.types import DesiredState, InstanceState, Service, Severity, User
from hydra_box.upstreams.registry import Upstreams


class ServiceManager:
    """Takes what owners ask, checks it, stores it, and tells the supervisor."""

    def __init__(
        self,
        *,
        store: Store,
        supervisor: Supervisor,
        planner: Planner,
        journal: Journal,
        downloads: Downloads,
        views: ServiceViews,
        upstreams: Upstreams,
        deployer: Deployer,
    ) -> None:
        self._store = store
        self._supervisor = supervisor
        self._planner = planner
        self._journal = journal
        self._downloads = downloads
        self._views = views
        self._upstreams = upstreams
        self._deployer = deployer
        self._services: dict[str, Service] = {}
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        """Restore every service of the store, and have the supervisor start them."""
        self._services = {one.id: one for one in await self._store.services()}
        await self._downloads.load()
        await asyncio.to_thread(self._views.modalities.read, tuple(self._services.values()))
        await self._upstreams.load(self._services.values())
        self._supervisor.recall(await self._store.last_used())
        await self._supervisor.start(self._services.values())
        for service in self._services.values():
            self._upstreams.follow(service)

    # --- what there is -----------------------------------------------------------

    def list(self) -> tuple[ServiceView, ...]:
        """Every service, by name."""
        services = sorted(self._present(), key=lambda one: one.name)
        return tuple(self._views.of(one) for one in services)

    def get(self, name: str) -> ServiceView:
        """A service by name, id or access name.

        Raises:
            NotFound: with the nearest names.
        """
        return self._views.of(self._find(name))

    def live(self, name: str) -> Service:
        """A service's desired state, by name, id or access name.

        Raises:
            NotFound: with the nearest names.
            Conflict: it is being deleted.
        """
        return check_live(self._find(name))

    def log_path(self, name: str, instance: str | None) -> Path:
        """The log of an instance; without one, of the newest.

        Raises:
            NotFound: no such service, no such instance (names those there are), or none at all.
        """
        return self._views.log_path(self._find(name), instance)

    # --- what owners ask ---------------------------------------------------------

    async def deploy(self, request: DeployRequest, owner: User) -> ServiceView:
        """Make a service, and have it served: by instances here, or by its upstreams alone.

        Args:
            request: what is asked.
            owner: whose it is, if the request does not say.

        Raises:
            InvalidRequest: a value is wrong; ``param`` names it.
            InvalidModel: the model cannot be read.
            NotFound: no such model, file or user, or its files are not on this machine.
            Conflict: the name is taken.
            DoesNotFit: there is no room for it.
            EngineUnavailable: the engine for it is not installed, or does not work.
        """
        if request.name is not None:
            self._check_free(check_service_name(request.name))
        agreed = await self._deployer.agree(request, owner)
        async with self._writing:
            taken = {one.name for one in self._present()}
            name = request.name or suggest_service_name(request.model, taken)
            self._check_free(name)
            service = await self._deployer.make(request, agreed, name)
            await self._store.save_service(service)
            await self._give_upstreams(service, request)
            self._services[service.id] = service
            if agreed.planned is not None:
                facts = agreed.planned.plan.offer.facts
                self._views.modalities.learn(service.model_path, facts)
        self._journal.record(
            "service.deployed", f"{service.name} is to serve {request.model}", service=service
        )
        self._supervisor.put_service(service)
        self._upstreams.follow(service)
        return self._views.of(service)

    async def plan_deploy(self, request: DeployRequest) -> PlanView:
        """What ``deploy`` would do; nothing changes.

        Raises:
            InvalidRequest: a value is wrong; ``param`` names it.
            NotFound: no such model or file.
            Conflict: the name is taken.
        """
        check_planned(request)
        if request.name is not None:
            self._check_free(check_service_name(request.name))
        return await self._planner.plan(request)

    async def scale(self, name: str, request: ScaleRequest) -> ServiceView:
        """Set the number of instances, or add to it.

        Raises:
            InvalidRequest: both or neither were given, or the outcome is not possible.
            DoesNotFit: there is no room for as many; nothing has changed.
        """
        async with self._writing:
            service = self._find_with_instances(name)
            target = target_of(service, request)
            if service.desired_state is DesiredState.RUNNING and target > service.desired_instances:
                await self._planner.check_room(service, target)
            return await self._save(service, desired_instances=target)

    async def plan_scale(self, name: str, request: ScaleRequest) -> PlanView:
        """What ``scale`` would do; nothing changes.

        Raises:
            InvalidRequest: both or neither were given, or the outcome is not possible.
        """
        service = self._find_with_instances(name)
        return await self._planner.plan_scale(service, target_of(service, request))

    async def edit(self, name: str, request: EditRequest) -> ServiceView:
        """Change how a service runs; its instances are replaced one after another.

        Raises:
            InvalidRequest: a value is wrong; ``param`` names it.
            Conflict: its model, or the one that it would change to, is not here yet.
            DowntimeNeeded: there is no room for old and new, and that nothing serves for a while
                was not allowed.
            DoesNotFit: there is no room for it, even without its instances; nothing has changed.
            EngineUnavailable: the engine for it is not installed, or does not work.
        """
        if changes_terms_only(request):
            return await self._edit_terms(name, request)
        service = self._find_fetched(name)
        agreed = with_terms(service, request)
        if agreed == service and changes_nothing(service, ask_of_edit(service, request)):
            return await self._let_make_room(service, request)
        new, how = await self._planner.edit(agreed, request)
        if not difference(service, new):
            return self._views.of(service)
        command = f"edit {service.name} ..."
        check_downtime(service, how, command=command, allowed=request.allow_downtime)
        if new.model_path != service.model_path:
            await asyncio.to_thread(self._views.modalities.read, (new,))
        async with self._writing:
            present = self._services.get(service.id)
            if present is None or as_asked(present) != as_asked(service):
                raise Conflict(
                    f"{service.name} was changed by somebody else meanwhile",
                    hint="look at it, and edit it again",
                )
            new = rolled_out(present, new, how, has_served=self._has_served(present))
            await self._put(new, f"{new.name} is to have {difference(present, new)}")
            self._supervisor.retry(new)
            return self._views.of(new)

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
        async with self._writing:
            if self._services.get(old.id) != old:
                return False
            await self._put(new, what, kind=kind, severity=severity)
            return True

    async def go_back(self, service: Service, what: str) -> bool:
        """Have an edited service run as it did before, unless it was changed meanwhile."""
        if service.previous is None:
            return False
        new = msgspec.structs.replace(with_way(service, service.previous), previous=None)
        await asyncio.to_thread(self._views.modalities.read, (new,))
        changed = await self.exchange(
            service, new, what, kind="service.rolled_back", severity=Severity.ERROR
        )
        if changed:
            self._supervisor.retry(new)
        return changed

    async def _let_make_room(self, service: Service, request: EditRequest) -> ServiceView:
        """Go on with an edit that waits for room, by ending an old instance first, if allowed."""
        if request.allow_downtime and self._supervisor.outdated(service):
            new = msgspec.structs.replace(service, makes_room=True)
            what = f"{service.name} may be away while its instances are replaced"
            if await self.exchange(service, new, what):
                service = new
        return self._views.of(service)

    def _has_served(self, service: Service) -> bool:
        """Whether a service is known to run as it is, or not known to fail."""
        if service.desired_state is not DesiredState.RUNNING:
            return True
        states = {one.state for one in self._supervisor.instances_of(service.id)}
        return InstanceState.READY in states or self._supervisor.is_asleep(service.id)

    async def _edit_terms(self, name: str, request: EditRequest) -> ServiceView:
        """Change what no instance has to be replaced for."""
        async with self._writing:
            service = self.live(name)
            new = with_terms(service, request)
            if new != service:
                await self._put(new, f"{new.name} is to have {difference(service, new)}")
            return self._views.of(new)

    async def plan_edit(self, name: str, request: EditRequest) -> PlanView:
        """What ``edit`` would do; nothing changes.

        Raises:
            InvalidRequest: a value is wrong; ``param`` names it.
            Conflict: its model, or the one that it would change to, is not here yet.
        """
        service = self._find_fetched(name)
        with_terms(service, request)
        return await self._planner.plan_edit(service, request)

    async def start(self, name: str) -> ServiceView:
        """Have a stopped service run again, and a failed one try again at once."""
        async with self._writing:
            service = self.live(name)
            self._supervisor.retry(service)
            self._supervisor.wake(service.id)
            self._upstreams.ask_soon(service.id)
            return await self._save(service, desired_state=DesiredState.RUNNING)

    async def stop(self, name: str) -> ServiceView:
        """End a service's instances, and keep the service."""
        async with self._writing:
            return await self._save(self.live(name), desired_state=DesiredState.STOPPED)

    async def delete(self, name: str, confirm: str) -> ServiceView:
        """Remove a service for good.

        Raises:
            InvalidRequest: ``confirm`` is not the service's name.
        """
        async with self._writing:
            service = self._find(name)
            if confirm != service.name:
                raise InvalidRequest(
                    f"{confirm!r} is not the name of the service to delete, {service.name!r}",
                    hint=f"to delete it: hydra-box delete {service.name} --confirm {service.name}",
                    param="confirm",
                )
            view = await self._save(service, desired_state=DesiredState.DELETED)
            await self._downloads.release(service)
            await self._upstreams.forget(service.id)
            return view

    # --- inside --------------------------------------------------------------------

    async def _give_upstreams(self, service: Service, request: DeployRequest) -> None:
        """All of them, or there is no service."""
        try:
            for one in request.upstreams:
                await self._upstreams.add(service, one)
        except HydraError:
            await self._upstreams.forget(service.id)
            await self._store.delete_service(service.id)
            raise

    async def _save(
        self,
        service: Service,
        *,
        desired_state: DesiredState | None = None,
        desired_instances: int | None = None,
    ) -> ServiceView:
        new = msgspec.structs.replace(
            service,
            desired_state=desired_state or service.desired_state,
            desired_instances=desired_instances or service.desired_instances,
        )
        what = f"{new.name} is to be {new.desired_state} with {new.desired_instances} instance(s)"
        await self._put(new, what)
        return self._views.of(new)

    async def _put(
        self,
        new: Service,
        what: str | None,
        *,
        kind: str = "service.changed",
        severity: Severity = Severity.INFO,
    ) -> None:
        await self._store.save_service(new)
        self._services[new.id] = new
        if what is not None:
            self._journal.record(kind, what, severity=severity, service=new)
        self._supervisor.put_service(new)
        self._upstreams.follow(new)

    def _present(self) -> tuple[Service, ...]:
        """The services that have not been deleted to the end."""
        gone = [
            one.id
            for one in self._services.values()
            if one.desired_state is DesiredState.DELETED and not self._supervisor.has(one.id)
        ]
        for service_id in gone:
            del self._services[service_id]
        return tuple(self._services.values())

    def _find(self, name: str) -> Service:
        return find(self._present(), name)

    def _find_with_instances(self, name: str) -> Service:
        return check_has_instances(self.live(name))

    def _find_fetched(self, name: str) -> Service:
        service = self._find_with_instances(name)
        if download := self._downloads.missing(service):
            raise Conflict(
                f"{service.name} can be edited once {download.model} is fetched",
                hint=f"hydra-box models downloads shows {download.id}",
            )
        return service

    def _check_free(self, name: str) -> None:
        check_free(name, {one.name for one in self._present()})
