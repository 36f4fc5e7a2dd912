"""What owners ask of services: checked, planned, written, and shown as they are then."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from hydra_box.downloads import Downloads
from hydra_box.errors import InvalidRequest
from hydra_box.journal import Journal
from hydra_box.messages import (
    DeployRequest,
    EditRequest,
    PlanView,
    ScaleRequest,
    ServiceView,
)
from hydra_box.plan.names import check_service_name, suggest_service_name
from hydra_box.plan.words import counted
from hydra_box.planner import Planner
from hydra_box.services.deployer import Deployer
from hydra_box.services.deploying import check_planned
from hydra_box.services.desired import Desired
from hydra_box.services.editor import Editor
from hydra_box.services.finding import check_has_instances, target_of
from hydra_box.services.views import ServiceViews
from hydra_box.store import Store
from hydra_box.supervisor import Supervisor
from hydra_box.types import DesiredState, Service, User
from hydra_box.upstreams.registry import Upstreams


class ServiceManager:
    """Takes what owners ask, checks it, and has it written."""

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
        self._downloads = downloads
        self._views = views
        self._upstreams = upstreams
        self._deployer = deployer
        self._desired = Desired(
            store=store, supervisor=supervisor, journal=journal, upstreams=upstreams
        )
        self._editor = Editor(
            desired=self._desired,
            supervisor=supervisor,
            planner=planner,
            downloads=downloads,
            views=views,
        )

    async def load(self) -> None:
        """Restore every service of the store, and have the supervisor start them."""
        services = await self._desired.load()
        await self._downloads.load()
        await asyncio.to_thread(self._views.modalities.read, services)
        await self._upstreams.load(services)
        self._supervisor.recall(await self._store.last_used())
        await self._supervisor.start(services)
        for service in services:
            self._upstreams.follow(service)

    # --- what there is -----------------------------------------------------------

    def list(self) -> tuple[ServiceView, ...]:
        """Every service, by name."""
        services = sorted(self._desired.present(), key=lambda one: one.name)
        return tuple(self._views.of(one) for one in services)

    def get(self, name: str) -> ServiceView:
        """A service by name, id or access name.

        Raises:
            NotFound: with the nearest names.
        """
        return self._views.of(self._desired.find(name))

    def live(self, name: str) -> Service:
        """A service's desired state, by name, id or access name.

        Raises:
            NotFound: with the nearest names.
            Conflict: it is being deleted.
        """
        return self._desired.live(name)

    def log_path(self, name: str, instance: str | None) -> Path:
        """The log of an instance; without one, of the newest.

        Raises:
            NotFound: no such service, no such instance (names those there are), or none at all.
        """
        return self._views.log_path(self._desired.find(name), instance)

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
            self._desired.check_free(check_service_name(request.name))
        agreed = await self._deployer.agree(request, owner)
        async with self._desired.writing:
            taken = {one.name for one in self._desired.present()}
            name = request.name or suggest_service_name(request.model, taken)
            self._desired.check_free(name)
            service = await self._deployer.make(request, agreed, name)
            what = f"{service.name} is to serve {request.model}"
            await self._desired.add(service, request.upstreams, what)
            if agreed.planned is not None:
                facts = agreed.planned.plan.offer.facts
                self._views.modalities.learn(service.model_path, facts)
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
            self._desired.check_free(check_service_name(request.name))
        return await self._planner.plan(request)

    async def scale(self, name: str, request: ScaleRequest) -> ServiceView:
        """Set the number of instances, or add to it.

        Raises:
            InvalidRequest: both or neither were given, or the outcome is not possible.
            DoesNotFit: there is no room for as many; nothing has changed.
        """
        async with self._desired.writing:
            service = check_has_instances(self.live(name))
            target = target_of(service, request)
            if service.desired_state is DesiredState.RUNNING and target > service.desired_instances:
                await self._planner.check_room(service, target)
            return await self._save(service, desired_instances=target)

    async def plan_scale(self, name: str, request: ScaleRequest) -> PlanView:
        """What ``scale`` would do; nothing changes.

        Raises:
            InvalidRequest: both or neither were given, or the outcome is not possible.
        """
        service = check_has_instances(self.live(name))
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
        return await self._editor.edit(name, request)

    async def plan_edit(self, name: str, request: EditRequest) -> PlanView:
        """What ``edit`` would do; nothing changes.

        Raises:
            InvalidRequest: a value is wrong; ``param`` names it.
            Conflict: its model, or the one that it would change to, is not here yet.
        """
        return await self._editor.plan_edit(name, request)

    async def exchange(self, old: Service, new: Service, what: str | None) -> bool:
        """Put a service in the place of what it was, unless it was changed meanwhile.

        Args:
            old: as it was when it was decided to change it.
            new: as it is to be.
            what: the event that tells of it; None: nobody has to know.
        """
        return await self._desired.exchange(old, new, what)

    async def go_back(self, service: Service, what: str) -> bool:
        """Have an edited service run as it did before, unless it was changed meanwhile."""
        return await self._editor.go_back(service, what)

    async def start(self, name: str) -> ServiceView:
        """Have a stopped service run again, and a failed one try again at once."""
        async with self._desired.writing:
            service = self.live(name)
            self._supervisor.retry(service)
            self._supervisor.wake(service.id)
            self._upstreams.ask_soon(service.id)
            return await self._save(service, desired_state=DesiredState.RUNNING)

    async def stop(self, name: str) -> ServiceView:
        """End a service's instances, and keep the service."""
        async with self._desired.writing:
            return await self._save(self.live(name), desired_state=DesiredState.STOPPED)

    async def delete(self, name: str, confirm: str) -> ServiceView:
        """Remove a service for good.

        Raises:
            InvalidRequest: ``confirm`` is not the service's name.
        """
        async with self._desired.writing:
            service = self._desired.find(name)
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
        instances = counted(new.desired_instances, "instance")
        what = f"{new.name} is to be {new.desired_state} with {instances}"
        await self._desired.put(new, what)
        return self._views.of(new)
