"""Edits of services: planned, agreed with their owner, and the way back from them."""

from __future__ import annotations

import asyncio

import msgspec

from hydra_box.downloads import Downloads
from hydra_box.errors import Conflict
from hydra_box.messages import EditRequest, PlanView, ServiceView
from hydra_box.plan.ways import with_way
from hydra_box.planner import Planner
from hydra_box.services.desired import Desired
from hydra_box.services.editing import (
    as_asked,
    ask_of_edit,
    changes_nothing,
    check_downtime,
    difference,
    rolled_out,
)
from hydra_box.services.finding import check_has_instances
from hydra_box.services.terms import changes_terms_only, with_terms
from hydra_box.services.views import ServiceViews
from hydra_box.supervisor import Supervisor
from hydra_box.types import DesiredState, InstanceState, MakesRoom, Service, Severity


class Editor:
    """Works out what an edit comes to, and has it written unless somebody else was faster."""

    def __init__(
        self,
        *,
        desired: Desired,
        supervisor: Supervisor,
        planner: Planner,
        downloads: Downloads,
        views: ServiceViews,
    ) -> None:
        self._desired = desired
        self._supervisor = supervisor
        self._planner = planner
        self._downloads = downloads
        self._views = views

    async def edit(self, name: str, request: EditRequest) -> ServiceView:
        """Change how a service runs; its instances are replaced one after another.

        Raises:
            HydraError: as ``ServiceManager.edit``.
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
        async with self._desired.writing:
            present = self._desired.get(service.id)
            if present is None or as_asked(present) != as_asked(service):
                raise Conflict(
                    f"{service.name} was changed by somebody else meanwhile",
                    hint="look at it, and edit it again",
                )
            new = rolled_out(present, new, how, has_served=self._has_served(present))
            await self._desired.put(new, f"{new.name} is to have {difference(present, new)}")
            self._supervisor.retry(new)
            return self._views.of(new)

    async def plan_edit(self, name: str, request: EditRequest) -> PlanView:
        """What ``edit`` would do; nothing changes.

        Raises:
            HydraError: as ``ServiceManager.plan_edit``.
        """
        service = self._find_fetched(name)
        with_terms(service, request)
        return await self._planner.plan_edit(service, request)

    async def go_back(self, service: Service, what: str) -> bool:
        """Have an edited service run as it did before, unless it was changed meanwhile."""
        if service.previous is None:
            return False
        new = msgspec.structs.replace(with_way(service, service.previous), previous=None)
        await asyncio.to_thread(self._views.modalities.read, (new,))
        changed = await self._desired.exchange(
            service, new, what, kind="service.rolled_back", severity=Severity.ERROR
        )
        if changed:
            self._supervisor.retry(new)
        return changed

    async def _edit_terms(self, name: str, request: EditRequest) -> ServiceView:
        """Change what no instance has to be replaced for."""
        async with self._desired.writing:
            service = self._desired.live(name)
            new = with_terms(service, request)
            if new != service:
                await self._desired.put(new, f"{new.name} is to have {difference(service, new)}")
            return self._views.of(new)

    async def _let_make_room(self, service: Service, request: EditRequest) -> ServiceView:
        """Go on with an edit that waits for room, by ending an old instance first, if allowed."""
        if request.allow_downtime and self._supervisor.statuses.outdated(service):
            new = msgspec.structs.replace(service, makes_room=MakesRoom.TO_THE_LAST)
            what = f"{service.name} may be away while its instances are replaced"
            if await self._desired.exchange(service, new, what):
                service = new
        return self._views.of(service)

    def _has_served(self, service: Service) -> bool:
        """Whether a service is known to run as it is, or not known to fail."""
        if service.desired_state is not DesiredState.RUNNING:
            return True
        states = {one.state for one in self._supervisor.instances_of(service.id)}
        return InstanceState.READY in states or self._supervisor.is_asleep(service.id)

    def _find_fetched(self, name: str) -> Service:
        service = check_has_instances(self._desired.live(name))
        if download := self._downloads.missing(service):
            raise Conflict(
                f"{service.name} can be edited once {download.model} is fetched",
                hint=f"hydra-box models downloads shows {download.id}",
            )
        return service
