"""The supervisor of actual state: carries out what ``plan/`` decides about instances.

Everything here runs on one event loop. Nothing waits inside the reconcile loop: slow work is a
task, and its result is a change of state that wakes the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from hydra_box.config import Paths, Settings
from hydra_box.gateway.pool import Pool
from hydra_box.instances import Instances
from hydra_box.journal import Journal
from hydra_box.life import Lives
from hydra_box.plan import reconcile as plan
from hydra_box.plan.lifecycle import HAS_PROCESS
from hydra_box.plan.status import service_reason, service_status
from hydra_box.process import reap_leftovers, rotate
from hydra_box.types import (
    Download,
    Instance,
    InstanceState,
    Service,
    ServiceStatus,
    Severity,
)

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
        paths: Paths,
        settings: Settings,
        missing: Callable[[Service], Download | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make it; ``missing`` tells the download that a service still waits for."""
        self._missing = missing
        self._journal = journal
        self._pool = pool
        self._instances = instances
        self._lives = lives
        self._paths = paths
        self._settings = settings
        self._clock = clock
        self._services: dict[str, Service] = {}
        self._started: dict[str, Service] = {}
        """Instance to its service, as that was when its process was started."""
        self._statuses: dict[str, ServiceStatus] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Ends with an exception when the supervisor itself broke: the daemon must end too."""

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

    def status_of(self, service: Service) -> ServiceStatus:
        """What a service is doing."""
        instances = self.instances_of(service.id)
        old = plan.outdated(service, instances, self._started)
        return service_status(service, instances, self._missing(service), outdated=old)

    def progress_of(self, service: Service) -> str | None:
        """What the first loading instance of a service is doing, in a few words."""
        for instance in self.instances_of(service.id):
            if instance.state is S.STARTING:
                engine = self._started.get(instance.id, service).engine
                return self._lives.progress(instance.id, engine)
        return None

    # --- what others ask -------------------------------------------------------

    async def start(self, services: Iterable[Service]) -> None:
        """Clear away what an earlier daemon left, and bring every service to what it should be."""
        pids = await asyncio.to_thread(reap_leftovers, self._paths.home)
        if pids:
            self._journal.record(
                "daemon.reaped",
                f"ended {len(pids)} engine processes that an earlier daemon left: {pids}",
                severity=Severity.WARNING,
            )
        for instance_id in await self._instances.clear():
            self._remove_files(instance_id)
        for service in services:
            self.put_service(service)
        self._spawn_task(self._reconcile_forever(), "reconcile")

    def put_service(self, service: Service) -> None:
        """Take a new or changed desired state; it is in the store already."""
        self._services[service.id] = service
        self._publish_status(service)
        self._instances.changed.set()

    def retry(self, service: Service) -> None:
        """Give up the instances that FAILED or wait in BACKOFF, so that new ones start."""
        for instance in self.instances_of(service.id):
            if instance.state in (S.FAILED, S.BACKOFF):
                self._instances.change(instance.id, state=S.STOPPED, retry_at=None)

    async def stop(self) -> None:
        """End every engine process, whatever it is doing."""
        self._closing = True
        self._instances.changed.set()
        for instance in self._instances.all():
            if instance.state in HAS_PROCESS:
                self._stop_instance(instance)
        while self._tasks:
            await asyncio.wait(self._tasks)

    # --- the loop --------------------------------------------------------------

    async def _reconcile_forever(self) -> None:
        while not self._closing:
            self._instances.changed.clear()
            now = self._clock()
            instances = self._instances.all()
            services = tuple(self._services.values())
            waiting = {one.id for one in services if self._missing(one)}
            for action in plan.reconcile(
                services, instances, now=now, waiting=waiting, started=self._started
            ):
                if not self._closing:
                    await self._apply(action)
            for service in list(self._services.values()):
                self._publish_status(service)
            await asyncio.to_thread(self._rotate_logs, self._lives.with_process())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._until_next(now)):
                    await self._instances.changed.wait()

    def _until_next(self, now: float) -> float:
        """Seconds until there is something to do that nobody wakes the loop for."""
        retries = [one.retry_at - now for one in self._instances.all() if one.retry_at]
        return max(0.0, min([TICK_SECONDS, *retries]))

    async def _apply(self, action: plan.Action) -> None:
        match action:
            case plan.CreateInstance():
                self._create_instance(self._services[action.service_id])
            case plan.StartInstance():
                self._start_instance(self._instances[action.instance_id])
            case plan.DrainInstance():
                self._drain_instance(self._instances[action.instance_id])
            case plan.StopInstance():
                self._stop_instance(self._instances[action.instance_id])
            case plan.ForgetInstance():
                self._forget_instance(self._instances[action.instance_id])
            case plan.ForgetService():
                await self._forget_service(self._services[action.service_id])

    def _create_instance(self, service: Service) -> None:
        instance = Instance(
            id=f"{service.name}-{secrets.token_hex(4)}",
            service_id=service.id,
            state=S.PENDING,
            device="",
            created_at=self._clock(),
        )
        self._instances.save(instance)

    def _start_instance(self, instance: Instance) -> None:
        again = instance.state is S.BACKOFF
        restarts = instance.restarts + 1 if again else instance.restarts
        started = self._instances.change(
            instance.id, state=S.STARTING, restarts=restarts, retry_at=None
        )
        service = self._started[started.id] = self._services[started.service_id]
        self._spawn_task(self._lives.live(started.id, service), started.id)

    def _drain_instance(self, instance: Instance) -> None:
        self._pool.drain_instance(instance.id)
        self._instances.change(instance.id, state=S.DRAINING)
        self._spawn_task(self._stop_when_idle(instance.id), f"drain {instance.id}")

    async def _stop_when_idle(self, instance_id: str) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain_timeout_seconds):
                await self._pool.wait_idle(instance_id)
        instance = self._instances.get(instance_id)
        if instance is not None and instance.state is S.DRAINING:
            self._stop_instance(instance)

    def _stop_instance(self, instance: Instance) -> None:
        if instance.state is not S.STOPPING:
            self._instances.change(instance.id, state=S.STOPPING)
        self._spawn_task(self._lives.end(instance.id), f"stop {instance.id}")

    def _forget_instance(self, instance: Instance) -> None:
        self._instances.forget(instance.id)
        self._started.pop(instance.id, None)
        self._remove_files(instance.id)

    async def _forget_service(self, service: Service) -> None:
        self._pool.drop_service(service.id)
        # The last rows of its instances are written first: they belong to the service's row.
        await self._journal.flush()
        await self._instances.delete_service(service.id)
        del self._services[service.id]
        self._statuses.pop(service.id, None)
        self._journal.record("service.deleted", f"{service.name} is deleted", service=service)

    # --- inside ------------------------------------------------------------------

    def _publish_status(self, service: Service) -> None:
        status = self.status_of(service)
        reason = service_reason(self.instances_of(service.id), self._missing(service))
        self._pool.put_service(service, status, reason)
        if self._statuses.get(service.id) is not status:
            self._statuses[service.id] = status
            self._journal.record(
                "service.status",
                f"{service.name} is {status}",
                severity=Severity.ERROR if status is ServiceStatus.FAILED else Severity.INFO,
                service=service,
            )

    def _remove_files(self, instance_id: str) -> None:
        shutil.rmtree(self._paths.instance_socket(instance_id).parent, ignore_errors=True)
        log_path = self._paths.instance_log(instance_id)
        log_path.unlink(missing_ok=True)
        log_path.with_name(log_path.name + ".1").unlink(missing_ok=True)

    def _rotate_logs(self, instance_ids: Iterable[str]) -> None:
        for instance_id in instance_ids:
            rotate(self._paths.instance_log(instance_id), self._settings.log_limit_bytes)

    def _spawn_task(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self.failed.done():
            self.failed.set_exception(error)
