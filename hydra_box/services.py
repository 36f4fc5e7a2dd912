"""The one writer of desired state: what services should exist, and how they are shown."""

from __future__ import annotations

import asyncio
import difflib
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from hydra_box.config import Paths
from hydra_box.downloads import Downloads
from hydra_box.editing import ask_of_edit, changes_nothing, difference
from hydra_box.errors import Conflict, InvalidRequest, NotFound
from hydra_box.journal import Journal
from hydra_box.messages import (
    DeployRequest,
    EditRequest,
    PlanView,
    ScaleRequest,
    ServiceView,
)
from hydra_box.plan.names import access_name, check_service_name, suggest_service_name
from hydra_box.plan.sizes import check_instances
from hydra_box.planner import Planner
from hydra_box.service_views import ServiceViews
from hydra_box.store import Store
from hydra_box.supervisor import Supervisor
from hydra_box.types import (
    DesiredState,
    Service,
    User,
)


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
        paths: Paths,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._supervisor = supervisor
        self._planner = planner
        self._journal = journal
        self._downloads = downloads
        self._views = views
        self._paths = paths
        self._clock = clock
        self._services: dict[str, Service] = {}
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        """Restore every service of the store, and have the supervisor start them."""
        self._services = {one.id: one for one in await self._store.services()}
        await self._downloads.load()
        await asyncio.to_thread(self._views.modalities.read, tuple(self._services.values()))
        await self._supervisor.start(self._services.values())

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

    def log_path(self, name: str, instance: str | None) -> Path:
        """The log of an instance; without one, of the newest.

        Raises:
            NotFound: no such service, no such instance (names those there are), or none at all.
        """
        service = self._find(name)
        ids = [one.id for one in self._supervisor.instances_of(service.id)]
        if not ids:
            raise NotFound(
                f"{service.name} has no instance and so no log",
                hint=f"hydra-box start {service.name}",
            )
        if instance is not None and instance not in ids:
            raise NotFound(
                f"{service.name} has no instance {instance!r}", hint=f"instances: {', '.join(ids)}"
            )
        return self._paths.instance_log(instance or ids[-1])

    # --- what owners ask ---------------------------------------------------------

    async def deploy(self, request: DeployRequest, owner: User) -> ServiceView:
        """Make a service, and have its instances started.

        Raises:
            InvalidRequest: a value is wrong; ``param`` names it.
            InvalidModel: the model cannot be read.
            NotFound: no such model or file, or its files are not on this machine.
            Conflict: the name is taken.
            DoesNotFit: there is no room for it.
            EngineUnavailable: the engine for it is not installed, or does not work.
        """
        check_instances(request.instances)
        if request.name is not None:
            self._check_free(check_service_name(request.name))
        planned = await self._planner.decide(request)
        options = planned.plan.placements[0].options
        async with self._writing:
            taken = {one.name for one in self._present()}
            name = request.name or suggest_service_name(request.model, taken)
            self._check_free(name)
            download = None
            if planned.wanted is not None:
                download = await self._downloads.want(planned.wanted, pulled=False)
            service = Service(
                id=f"svc-{secrets.token_hex(6)}",
                name=name,
                access_name=access_name(name, owner_id=owner.id, public=request.public),
                owner_id=owner.id,
                public=request.public,
                base_model=request.model,
                model_path=planned.path,
                quantization=planned.plan.offer.facts.quantization,
                engine=planned.plan.engine,
                context_length=options.context_length,
                slots=options.slots,
                desired_instances=request.instances,
                on_cpu=request.device is not None,
                allows_code=request.allow_code,
                download_id=None if download is None else download.id,
                desired_state=DesiredState.RUNNING,
                created_at=self._clock(),
            )
            await self._store.save_service(service)
            self._services[service.id] = service
            self._views.modalities.learn(planned.path, planned.plan.offer.facts)
        self._journal.record(
            "service.deployed", f"{name} is to serve {request.model}", service=service
        )
        self._supervisor.put_service(service)
        return self._views.of(service)

    async def plan_deploy(self, request: DeployRequest) -> PlanView:
        """What ``deploy`` would do; nothing changes.

        Raises:
            InvalidRequest: a value is wrong; ``param`` names it.
            NotFound: no such model or file.
            Conflict: the name is taken.
        """
        check_instances(request.instances)
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
            service = self._find_live(name)
            target = _target(service, request)
            if service.desired_state is DesiredState.RUNNING and target > service.desired_instances:
                await self._planner.check_room(service, target)
            return await self._save(service, desired_instances=target)

    async def plan_scale(self, name: str, request: ScaleRequest) -> PlanView:
        """What ``scale`` would do; nothing changes.

        Raises:
            InvalidRequest: both or neither were given, or the outcome is not possible.
        """
        service = self._find_live(name)
        return await self._planner.plan_scale(service, _target(service, request))

    async def edit(self, name: str, request: EditRequest) -> ServiceView:
        """Change how a service runs; its instances are replaced one after another.

        Raises:
            InvalidRequest: a value is wrong; ``param`` names it.
            Conflict: its model, or the one that it would change to, is not here yet.
            DoesNotFit: there is no room for it, even without its instances; nothing has changed.
            EngineUnavailable: the engine for it is not installed, or does not work.
        """
        service = self._find_fetched(name)
        if changes_nothing(service, ask_of_edit(service, request)):
            return self._views.of(service)
        new = await self._planner.edit(service, request)
        if new.model_path != service.model_path:
            await asyncio.to_thread(self._views.modalities.read, (new,))
        async with self._writing:
            if self._services.get(service.id) != service:
                raise Conflict(
                    f"{service.name} was changed by somebody else meanwhile",
                    hint="look at it, and edit it again",
                )
            await self._put(new, f"{new.name} is to have {difference(service, new)}")
            self._supervisor.retry(new)
            return self._views.of(new)

    async def plan_edit(self, name: str, request: EditRequest) -> PlanView:
        """What ``edit`` would do; nothing changes.

        Raises:
            InvalidRequest: a value is wrong; ``param`` names it.
            Conflict: its model, or the one that it would change to, is not here yet.
        """
        return await self._planner.plan_edit(self._find_fetched(name), request)

    async def start(self, name: str) -> ServiceView:
        """Have a stopped service run again, and a failed one try again at once."""
        async with self._writing:
            service = self._find_live(name)
            self._supervisor.retry(service)
            return await self._save(service, desired_state=DesiredState.RUNNING)

    async def stop(self, name: str) -> ServiceView:
        """End a service's instances, and keep the service."""
        async with self._writing:
            return await self._save(self._find_live(name), desired_state=DesiredState.STOPPED)

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
        what = f"{new.name} is to be {new.desired_state} with {new.desired_instances} instance(s)"
        await self._put(new, what)
        return self._views.of(new)

    async def _put(self, new: Service, what: str) -> None:
        await self._store.save_service(new)
        self._services[new.id] = new
        self._journal.record("service.changed", what, service=new)
        self._supervisor.put_service(new)

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
        services = self._present()
        for service in services:
            if name in (service.name, service.id, service.access_name):
                return service
        near = difflib.get_close_matches(name, [one.name for one in services], n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else "hydra-box status lists them"
        raise NotFound(f"there is no service {name!r}", hint=hint, param="name")

    def _find_live(self, name: str) -> Service:
        service = self._find(name)
        if service.desired_state is DesiredState.DELETED:
            raise Conflict(f"{service.name} is being deleted")
        return service

    def _find_fetched(self, name: str) -> Service:
        service = self._find_live(name)
        if download := self._downloads.missing(service):
            raise Conflict(
                f"{service.name} can be edited once {download.model} is fetched",
                hint=f"hydra-box models downloads shows {download.id}",
            )
        return service

    def _check_free(self, name: str) -> None:
        taken = {one.name for one in self._present()}
        if name in taken:
            raise Conflict(
                f"the name {name!r} is taken",
                hint=f"{suggest_service_name(name, taken)!r} is free; "
                f"hydra-box scale {name} --add 1 adds an instance to the one there is",
                param="name",
            )


def _target(service: Service, request: ScaleRequest) -> int:
    if (request.instances is None) == (request.add is None):
        raise InvalidRequest(
            "scaling takes either a target or a number to add",
            hint='{"instances": 3} or {"add": 1}',
            param="instances",
        )
    if request.instances is not None:
        return check_instances(request.instances)
    return check_instances(service.desired_instances + (request.add or 0))
