"""Pinning a runtime: what runs on another one is replaced as after an edit."""

from __future__ import annotations

import asyncio

import msgspec

from hydra_box.engines.runtimes import RuntimeManager
from hydra_box.placer import ask_for, offer_of
from hydra_box.plan.beside import Replacement
from hydra_box.plan.rollout import has_moved
from hydra_box.plan.ways import on_other_runtime
from hydra_box.replacing import Replacer
from hydra_box.services.editing import check_downtime
from hydra_box.services.manager import ServiceManager
from hydra_box.supervisor import Supervisor
from hydra_box.types import DesiredState, Instance, Runtime, Service


class Pinning:
    """Asks whether there is room, before it is pinned."""

    def __init__(
        self,
        *,
        runtimes: RuntimeManager,
        services: ServiceManager,
        supervisor: Supervisor,
        replacer: Replacer,
    ) -> None:
        self._runtimes = runtimes
        self._services = services
        self._supervisor = supervisor
        self._replacer = replacer

    async def pin(self, runtime_id: str, *, allow_downtime: bool = False) -> Runtime:
        """Use a runtime of its engine and no other, also for what runs now.

        Raises:
            NotFound: there is no such runtime.
            Conflict: it does not work.
            DowntimeNeeded: there is no room for old and new, and that nothing serves for a while
                was not allowed.
        """
        runtime = await self._runtimes.tried(runtime_id)
        moving = self._moving(runtime)
        ways = [(service, await self._replacement(service, old)) for service, old in moving]
        command = f"engines pin {runtime_id}"
        for service, how in ways:
            check_downtime(service, how, command=command, allowed=allow_downtime)
        for service, how in ways:
            new = msgspec.structs.replace(self._as_seen(service), makes_room=how.makes_room)
            await self._services.exchange(service, new, None)
        replaces = next((one.runtime_id for _, old in moving for one in old), None)
        pinned = await self._runtimes.pin(runtime_id, replaces=replaces)
        self._supervisor.look_again()
        return pinned

    async def unpin(self, runtime_id: str) -> Runtime:
        """Choose among the engine's runtimes again, for what is started from now on.

        Raises:
            NotFound: there is no such runtime.
        """
        runtime = await self._runtimes.unpin(runtime_id)
        self._supervisor.look_again()
        return runtime

    def _moving(self, runtime: Runtime) -> list[tuple[Service, list[Instance]]]:
        """The services that have instances on another runtime, and those."""
        pin = {(runtime.engine, runtime.accelerator): runtime.id}
        found = []
        for service in self._supervisor.services():
            ours = self._supervisor.instances_of(service.id)
            old = [one for one in ours if on_other_runtime(one, pin)]
            if old and service.desired_state is DesiredState.RUNNING:
                found.append((service, old))
        return found

    def _as_seen(self, service: Service) -> Service:
        """A service whose last edit is over: from now on it is the pin that may not work."""
        ours = self._supervisor.instances_of(service.id)
        if has_moved(service, ours, self._supervisor.statuses.outdated(service)):
            return msgspec.structs.replace(service, previous=None)
        return service

    async def _replacement(self, service: Service, old: list[Instance]) -> Replacement:
        ask = ask_for(service, instances=1, running=0)
        offer = await asyncio.to_thread(offer_of, service)
        return await self._replacer.judge(service, ask, offer, {one.id for one in old})
