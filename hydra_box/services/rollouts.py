"""Rollouts to their end: over once what is new is stable, back when it never is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from hydra_box.alarms import Alarms
from hydra_box.engines.runtimes import RuntimeManager
from hydra_box.errors import HydraError
from hydra_box.journal import Record
from hydra_box.plan.rollout import (
    has_moved,
    is_moving,
    may_still_die,
    settled,
    why_back,
    why_unpin,
)
from hydra_box.services.manager import ServiceManager
from hydra_box.supervisor import Supervisor
from hydra_box.types import Runtime, Service, Severity

log = logging.getLogger(__name__)

Step = Callable[[], Coroutine[Any, Any, None]]


class Rollouts:
    """Looks at every change of an instance; the manager and the runtimes do the writing."""

    def __init__(
        self,
        *,
        services: ServiceManager,
        supervisor: Supervisor,
        runtimes: RuntimeManager,
        record: Record,
        alarms: Alarms,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._services = services
        self._supervisor = supervisor
        self._runtimes = runtimes
        self._record = record
        self._alarms = alarms
        self._clock = clock
        self._moved: dict[str, set[str]] = {}
        """By runtime that was pinned: ids of the services that have moved to it, or are about to.

        In memory alone: for the next daemon what has moved to the end is settled."""
        self._went_back: set[str] = set()
        """Ids of services with an alarm that says so."""
        self._busy = False
        supervisor.use_rollouts(self.look, runtimes.pins)

    def look(self) -> Coroutine[Any, Any, None] | None:
        """What has to be done now; None: nothing, or it is being done."""
        if self._busy:
            return None
        services = self._supervisor.services()
        for gone in self._went_back - {one.id for one in services}:
            self._forget(gone)
        steps = [step for one in services if (step := self._of_service(one))]
        steps += [step for one in self._runtimes.list() if (step := self._of_runtime(one))]
        self._busy = bool(steps)
        return self._take(steps) if steps else None

    async def _take(self, steps: list[Step]) -> None:
        try:
            for step in steps:
                try:
                    await step()
                except HydraError:
                    log.exception("a rollout could not be brought to its end; it is tried again")
        finally:
            self._busy = False

    def _of_service(self, service: Service) -> Step | None:
        instances = self._supervisor.instances_of(service.id)
        old = self._supervisor.statuses.outdated(service)
        if reason := why_back(service, instances, old):
            return partial(self._go_back, service, reason)
        if service.previous is not None and has_moved(service, instances, old):
            self._forget(service.id)
        new = settled(service, instances, old, now=self._clock())
        return None if new == service else partial(self._settle, service, new)

    def _of_runtime(self, runtime: Runtime) -> Step | None:
        if not runtime.pinned or runtime.replaces is None:
            self._moved.pop(runtime.id, None)
            return None
        services = self._supervisor.services()
        instances = {one.id: self._supervisor.instances_of(one.id) for one in services}
        moving = {one.id for one in services if is_moving(one, instances[one.id], runtime)}
        moved = self._moved.setdefault(runtime.id, set())
        moved |= moving
        if reason := why_unpin(runtime, services, instances, moved):
            return partial(self._roll_back, runtime, reason)
        if moving:
            return None
        self._alarms.clear(_alarm_of(runtime))
        on_it, now = (one for one in services if one.id in moved), self._clock()
        if any(may_still_die(one, instances[one.id], now=now) for one in on_it):
            return None
        return partial(self._settle_runtime, runtime)

    async def _go_back(self, service: Service, reason: str) -> None:
        what = f"{service.name} runs as before its edit again: {reason}"
        if await self._services.go_back(service, what):
            self._went_back.add(service.id)
            self._alarms.raise_(
                f"rollout.{service.id}",
                what,
                hint=f"it serves as it did; to try again: hydra-box edit {service.name}",
                severity=Severity.ERROR,
                service_name=service.name,
            )

    async def _settle(self, service: Service, new: Service) -> None:
        await self._services.exchange(service, new, None)

    def _forget(self, service_id: str) -> None:
        """A service serves as its owner wants it by now, or is gone."""
        self._went_back.discard(service_id)
        self._alarms.clear(f"rollout.{service_id}")

    async def _settle_runtime(self, runtime: Runtime) -> None:
        await self._runtimes.settle(runtime.id)

    async def _roll_back(self, runtime: Runtime, reason: str) -> None:
        before = await self._runtimes.roll_back(runtime.id)
        instead = "nothing is" if before is None else f"{before.id} is"
        message = f"{runtime.id} does not serve, {instead} pinned again: {reason}"
        self._record("runtime.rolled_back", message, severity=Severity.ERROR)
        self._alarms.raise_(_alarm_of(runtime), message, hint="hydra-box engines list")
        for service in self._supervisor.services():
            if service.engine is runtime.engine:
                self._supervisor.retry(service)
        self._supervisor.look_again()


def _alarm_of(runtime: Runtime) -> str:
    return f"runtime.{runtime.engine}"
