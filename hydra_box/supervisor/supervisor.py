"""The supervisor of actual state: carries out what ``plan/`` decides about instances.

Everything here runs on one event loop. Nothing waits inside the reconcile loop: slow work is a
task, and its result is a change of state that wakes the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from hydra_box.errors import HydraError
from hydra_box.gateway.pool import Pool
from hydra_box.journal import Journal
from hydra_box.plan import reconcile as plan
from hydra_box.plan.lifecycle import HAS_PROCESS
from hydra_box.plan.restore import waits_for
from hydra_box.plan.sleep import Sleep, seconds_to_sleep, sleeps_in_place
from hydra_box.plan.upstream_health import Health
from hydra_box.plan.ways import Pins
from hydra_box.supervisor.adoption import Adoption
from hydra_box.supervisor.instance_files import InstanceFiles
from hydra_box.supervisor.instances import Instances
from hydra_box.supervisor.life import Lives
from hydra_box.supervisor.naps import Naps
from hydra_box.supervisor.restore import Restore
from hydra_box.supervisor.sleepers import Sleepers
from hydra_box.supervisor.statuses import Statuses
from hydra_box.supervisor.steps import Steps
from hydra_box.types import Download, Instance, InstanceState, Service

log = logging.getLogger(__name__)

TICK_SECONDS = 5.0

S = InstanceState


class Supervisor:
    """Desired state in, engine processes out."""

    def __init__(
        self,
        *,
        journal: Journal,
        pool: Pool,
        instances: Instances,
        lives: Lives,
        naps: Naps,
        files: InstanceFiles,
        restore: Restore,
        missing: Callable[[Service], Download | None],
    ) -> None:
        """Make it; ``missing`` tells the download that a service still waits for."""
        self._missing = missing
        self._unhealthy: Callable[[], Collection[str]] = frozenset
        self._rollouts: Callable[[], Coroutine[Any, Any, None] | None] | None = None
        self._journal = journal
        self._pool = pool
        self._instances = instances
        self._lives = lives
        self._naps = naps
        self._files = files
        self._restore = restore
        self._clock = time.time
        self._adoption = Adoption(journal=journal, instances=instances, lives=lives, files=files)
        self._sleepers = Sleepers(journal)
        self._steps = Steps(
            pool=pool,
            instances=instances,
            lives=lives,
            naps=naps,
            sleepers=self._sleepers,
            files=files,
        )
        self._services: dict[str, Service] = {}
        self.statuses = Statuses(
            journal=journal,
            pool=pool,
            instances=instances,
            sleepers=self._sleepers,
            missing=missing,
        )
        """What its services are doing."""
        self._closing = False
        self.failed = self._steps.failed
        """Ends with an exception when the supervisor itself broke: the daemon must end too."""
        pool.use_waker(self)

    def use_rollouts(
        self, look: Callable[[], Coroutine[Any, Any, None] | None], pins: Callable[[], Pins]
    ) -> None:
        """Who brings rollouts to their end, and which runtimes are pinned; told once."""
        self._rollouts, self.statuses.pins = look, pins

    def use_health(self, unhealthy: Callable[[], Collection[str]]) -> None:
        """Which instances have failed lately, by id: they end before others; told once."""
        self._unhealthy = unhealthy

    # --- what others see -------------------------------------------------------

    def instances_of(self, service_id: str) -> list[Instance]:
        """The instances of a service, oldest first."""
        return self._instances.of(service_id)

    def instances(self) -> tuple[Instance, ...]:
        """Every instance of every service."""
        return self._instances.all()

    def services(self) -> tuple[Service, ...]:
        """Every service that it takes care of."""
        return tuple(self._services.values())

    def has(self, service_id: str) -> bool:
        """Whether it still takes care of a service."""
        return service_id in self._services

    def is_asleep(self, service_id: str) -> bool:
        """Whether nobody has called a service for its idle timeout; the next request wakes it."""
        return self._sleepers.is_asleep(service_id)

    def progress(self, service_id: str) -> str | None:
        """What the first loading instance of a service is doing, in a few words."""
        for instance in self.instances_of(service_id):
            if instance.state is S.STARTING and instance.way is not None:
                return self._lives.progress(instance.id, instance.way.engine)
        eta = self._restore.eta(service_id)
        return None if eta is None else waits_for(eta.before)

    def eta_seconds(self, service_id: str) -> float | None:
        """How long until the next instance of a service is ready; None: that is not known."""
        eta = self._restore.eta(service_id)
        return None if eta is None else eta.seconds

    # --- what others ask -------------------------------------------------------

    async def start(self, services: Iterable[Service]) -> None:
        """Take over what an earlier daemon left, and bring every service to what it should be.

        Returns once the engines that served do so again. What is over is reaped meanwhile.
        """
        known = {one.id: one for one in services}
        estate = await self._adoption.take_over(known)
        for service in known.values():
            if service.id in estate.asleep or (
                service.id not in estate.awake and self._restore.starts_asleep(service)
            ):
                self._sleepers.fall_asleep(service)
            self.put_service(service)
        for instance in estate.adopted:
            self._steps.begin(self._lives.go_on(instance.id), instance.id)
            if instance.state is S.ASLEEP:
                # An earlier daemon may have ended between saying so and telling the engine.
                self._steps.begin(self._naps.sleep(instance.id), f"sleep {instance.id}")
        self._steps.begin(self._adoption.reap(estate), "reap")
        await self._adoption.wait_answered(estate.adopted)
        self._steps.begin(self._reconcile_forever(), "reconcile")

    async def leave(self) -> None:
        """Care for the engines no longer, and let them go on: another daemon takes them over."""
        self._closing = True
        await self._steps.leave()

    def recall(self, last_used: Mapping[str, float]) -> None:
        """When services were last called, before ``start``: those that slept then, sleep on."""
        self._restore.last_used = last_used

    def put_service(self, service: Service) -> None:
        """Take a new or changed desired state; it is in the store already."""
        self._services[service.id] = service
        self.statuses.publish(service)
        self._instances.changed.set()

    def look_again(self) -> None:
        """Something that it asks for has changed: see what has to be done now."""
        self._instances.changed.set()

    def wake(self, service_id: str) -> None:
        """Have a service that sleeps serve again; one that does not is left as it is."""
        if self._sleepers.wake(self._services[service_id]):
            self.statuses.publish(self._services[service_id])
            self._instances.changed.set()

    def put_upstreams(self, service_id: str, healths: Sequence[tuple[str, Health]]) -> None:
        """A service's upstreams are so now, each with its id."""
        self.statuses.put_upstreams(service_id, healths)
        if service := self._services.get(service_id):
            self.statuses.publish(service)

    def retry(self, service: Service) -> None:
        """Give up the instances that FAILED or wait in BACKOFF, so that new ones start."""
        for instance in self.instances_of(service.id):
            if instance.state in (S.FAILED, S.BACKOFF):
                self._instances.change(instance.id, state=S.STOPPED, retry_at=None)

    def replace(self, instance_id: str) -> None:
        """Have an instance that serves drain; another takes its place."""
        instance = self._instances.get(instance_id)
        if instance is not None and instance.state is S.READY:
            self._steps.take(plan.DrainInstance(instance_id=instance_id), self._services)

    async def stop(self) -> None:
        """End every engine process, whatever it is doing."""
        self._closing = True
        self._instances.changed.set()
        for instance in self._instances.all():
            if instance.state in HAS_PROCESS:
                self._steps.stop(instance)
        await self._steps.wait()

    # --- the loop --------------------------------------------------------------

    async def _reconcile_forever(self) -> None:
        while not self._closing:
            self._instances.changed.clear()
            await self._restore.look(self.services(), self.instances())
            now = self._clock()
            for action in self._decide(now):
                await self._take(action)
            for service in list(self._services.values()):
                self.statuses.publish(service)
            if self._rollouts is not None and (work := self._rollouts()) is not None:
                self._steps.begin(work, "rollouts")
            await self._files.rotate(self._lives.with_process())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._until_next(now)):
                    await self._instances.changed.wait()

    async def _take(self, action: plan.Action) -> None:
        if self._closing:
            return
        if isinstance(action, plan.ForgetService):
            await self._forget_service(self._services[action.service_id])
        else:
            self._steps.take(action, self._services)

    def _decide(self, now: float) -> list[plan.Action]:
        """What to do now; who falls asleep does so here.

        Nothing waits from this decision to the end of its steps: a request comes before it and
        prevents the sleep, or after it and wakes the service.
        """
        services, instances = self.services(), self.instances()
        for service in services:
            if not self.is_asleep(service.id) and self._seconds_to_sleep(service) == 0:
                self._sleepers.fall_asleep(service)
        actions = plan.reconcile(
            services,
            instances,
            now=now,
            waiting={one.id for one in services if self._missing(one)},
            sleep=self._sleep(instances),
            pins=self.statuses.pins(),
            unhealthy=self._unhealthy(),
        )
        waking = {one.id for one in services if self._sleepers.is_waking(one.id)}
        return self._restore.let(actions, self._services, instances, waking=waking)

    def _sleep(self, instances: Collection[Instance]) -> Sleep:
        return Sleep(
            services=self._sleepers.asleep(),
            in_place=sleeps_in_place(instances, self._naps.engines()),
            ending=self._sleepers.ending(),
        )

    def _seconds_to_sleep(self, service: Service) -> float | None:
        idle = self._pool.idle_seconds(service.id)
        return seconds_to_sleep(service, self.instances_of(service.id), idle)

    def _until_next(self, now: float) -> float:
        """Seconds until there is something to do that nobody wakes the loop for."""
        # A retry that is due has begun, or waits for its turn.
        retry_at = [one.retry_at or now for one in self._instances.all()]
        retries = [one - now for one in retry_at if one > now]
        sleeps = [self._seconds_to_sleep(one) for one in self._services.values()]
        due = [one for one in (*sleeps, self._restore.look_again_seconds()) if one is not None]
        return max(0.0, min([TICK_SECONDS, *retries, *due]))

    async def _forget_service(self, service: Service) -> None:
        self._pool.drop_service(service.id)
        self._sleepers.forget_service(service.id)
        # The last rows of its instances are written first: they belong to the service's row.
        await self._journal.flush()
        try:
            await self._instances.delete_service(service.id)
        except HydraError as error:
            # A full disk, a locked file: the next look at everything tries it again.
            log.warning("%s cannot be forgotten yet: %s", service.name, error.message)
            return
        del self._services[service.id]
        self.statuses.forget_service(service.id)
        self._journal.record("service.deleted", f"{service.name} is deleted", service=service)
