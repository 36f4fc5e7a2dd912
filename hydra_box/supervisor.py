"""The one writer of actual state: carries out what ``plan/`` decides, and follows each process.

Everything here runs on one event loop. Nothing waits inside the reconcile loop: slow work is a
task, and its result is a change of state that wakes the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from hydra_box.boot import Boot
from hydra_box.config import Paths, Settings
from hydra_box.engines.base import Engine
from hydra_box.errors import HydraError
from hydra_box.gateway.pool import Pool
from hydra_box.journal import Journal
from hydra_box.plan import reconcile as plan
from hydra_box.plan.devices import CPU
from hydra_box.plan.lifecycle import ALLOWED, HAS_PROCESS, after_death
from hydra_box.plan.status import service_reason, service_status
from hydra_box.process import EngineProcess, read_last_process, reap_leftovers, rotate
from hydra_box.store import Store
from hydra_box.types import (
    EngineName,
    Instance,
    InstanceState,
    Launch,
    ProcessExit,
    Service,
    ServiceStatus,
    Severity,
)

TICK_SECONDS = 5.0
STOP_GRACE_SECONDS = 5.0

S = InstanceState


class Supervisor:
    """Desired state in, engine processes out."""

    def __init__(
        self,
        *,
        store: Store,
        journal: Journal,
        pool: Pool,
        boot: Boot,
        engines: Mapping[EngineName, Engine],
        paths: Paths,
        settings: Settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._journal = journal
        self._pool = pool
        self._boot = boot
        self._engines = engines
        self._paths = paths
        self._settings = settings
        self._clock = clock
        self._services: dict[str, Service] = {}
        self._statuses: dict[str, ServiceStatus] = {}
        self._instances: dict[str, Instance] = {}
        self._processes: dict[str, EngineProcess] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._closing = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Ends with an exception when the supervisor itself broke: the daemon must end too."""

    # --- what others see -------------------------------------------------------

    def instances_of(self, service_id: str) -> list[Instance]:
        """The instances of a service, oldest first."""
        found = (one for one in self._instances.values() if one.service_id == service_id)
        return sorted(found, key=lambda one: (one.created_at, one.id))

    def has(self, service_id: str) -> bool:
        """Whether it still takes care of a service."""
        return service_id in self._services

    def status_of(self, service: Service) -> ServiceStatus:
        """What a service is doing."""
        return service_status(service, self.instances_of(service.id))

    def progress_of(self, service: Service) -> str | None:
        """What the first loading instance of a service is doing, in a few words."""
        for instance in self.instances_of(service.id):
            if instance.state is S.STARTING:
                log_tail = read_last_process(self._paths.instance_log(instance.id))
                return self._engines[service.engine].progress(log_tail)
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
        for row in await self._store.instances():
            self._remove_files(row.id)
            await self._store.delete_instance(row.id)
        for service in services:
            self.put_service(service)
        self._spawn_task(self._reconcile_forever(), "reconcile")

    def put_service(self, service: Service) -> None:
        """Take a new or changed desired state; it is in the store already."""
        self._services[service.id] = service
        self._publish_status(service)
        self._wake.set()

    def retry(self, service: Service) -> None:
        """Give up the instances that FAILED or wait in BACKOFF, so that new ones start."""
        for instance in self.instances_of(service.id):
            if instance.state in (S.FAILED, S.BACKOFF):
                self._change(instance, state=S.STOPPED, retry_at=None)

    async def stop(self) -> None:
        """End every engine process, whatever it is doing."""
        self._closing = True
        self._wake.set()
        for instance in list(self._instances.values()):
            if instance.state in HAS_PROCESS:
                self._stop_instance(instance)
        while self._tasks:
            await asyncio.wait(self._tasks)

    # --- the loop --------------------------------------------------------------

    async def _reconcile_forever(self) -> None:
        while not self._closing:
            self._wake.clear()
            now = self._clock()
            instances = list(self._instances.values())
            for action in plan.reconcile(self._services.values(), instances, now=now):
                if not self._closing:
                    await self._apply(action)
            for service in list(self._services.values()):
                self._publish_status(service)
            await asyncio.to_thread(self._rotate_logs, list(self._processes))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._until_next(now)):
                    await self._wake.wait()

    def _until_next(self, now: float) -> float:
        """Seconds until there is something to do that nobody wakes the loop for."""
        retries = [one.retry_at - now for one in self._instances.values() if one.retry_at]
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
            device=CPU,
            created_at=self._clock(),
        )
        self._save(instance)

    def _start_instance(self, instance: Instance) -> None:
        again = instance.state is S.BACKOFF
        restarts = instance.restarts + 1 if again else instance.restarts
        started = self._change(instance, state=S.STARTING, restarts=restarts, retry_at=None)
        self._spawn_task(self._live(started.id, self._services[started.service_id]), started.id)

    def _drain_instance(self, instance: Instance) -> None:
        self._pool.drain_instance(instance.id)
        self._change(instance, state=S.DRAINING)
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
            self._change(instance, state=S.STOPPING)
        if process := self._processes.get(instance.id):
            self._spawn_task(self._end_process(process), f"stop {instance.id}")

    async def _end_process(self, process: EngineProcess) -> None:
        await process.stop(STOP_GRACE_SECONDS)

    def _forget_instance(self, instance: Instance) -> None:
        del self._instances[instance.id]
        self._remove_files(instance.id)
        self._journal.enqueue(lambda: self._store.delete_instance(instance.id))
        self._wake.set()

    async def _forget_service(self, service: Service) -> None:
        self._pool.drop_service(service.id)
        # The last rows of its instances are written first: they belong to the service's row.
        await self._journal.flush()
        await self._store.delete_service(service.id)
        del self._services[service.id]
        self._statuses.pop(service.id, None)
        self._journal.record("service.deleted", f"{service.name} is deleted", service=service)

    # --- the life of one process -------------------------------------------------

    async def _live(self, instance_id: str, service: Service) -> None:
        """Start the process of an instance, and follow it to its end."""
        exit, reason = ProcessExit(), None
        try:
            exit, reason = await self._boot_and_follow(instance_id, service)
        except HydraError as error:
            reason = _one_line(error)
        self._processes.pop(instance_id, None)
        await self._pool.remove_instance(instance_id)
        self._after_end(self._instances[instance_id], service, exit, reason)

    async def _boot_and_follow(
        self, instance_id: str, service: Service
    ) -> tuple[ProcessExit, str | None]:
        in_use = [one.device for one in self._instances.values() if one.state in HAS_PROCESS]
        process, launch, runtime_id = await self._boot.start(service, instance_id, in_use)
        self._processes[instance_id] = process
        instance = self._change(
            self._instances[instance_id],
            pid=process.pid,
            process_created_at=process.created_at,
            runtime_id=runtime_id,
            device=launch.device,
        )
        if instance.state is S.STOPPING:
            # It was told to stop before it had a process that could be stopped.
            return await process.stop(STOP_GRACE_SECONDS), None
        return await self._follow(service, launch, process)

    async def _follow(
        self, service: Service, launch: Launch, process: EngineProcess
    ) -> tuple[ProcessExit, str | None]:
        """How a process ended, and why if it was ended because it would never be ready."""
        ready = asyncio.create_task(self._become_ready(service, launch, process))
        ended = asyncio.create_task(process.wait())
        await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
        reason = None
        if not ended.done():
            try:
                await ready
            except HydraError as error:
                reason = _one_line(error)
                await process.stop(STOP_GRACE_SECONDS)
        exit = await ended
        ready.cancel()
        await asyncio.gather(ready, return_exceptions=True)
        return exit, reason

    async def _become_ready(self, service: Service, launch: Launch, process: EngineProcess) -> None:
        await self._boot.until_ready(service, launch, process)
        instance = self._instances[launch.instance_id]
        if instance.state is S.STARTING:
            now = self._clock()
            self._change(instance, state=S.READY, ready_at=now, reason=None)
            socket_path = Path(launch.socket_path)
            self._pool.add_instance(service.id, instance.id, socket_path, launch.slots)
            self._journal.record(
                "instance.ready",
                f"{instance.id} is ready (pid {process.pid}, {launch.device})",
                service=service,
                instance_id=instance.id,
            )

    def _after_end(
        self, instance: Instance, service: Service, exit: ProcessExit, reason: str | None
    ) -> None:
        if instance.state in (S.STOPPING, S.DRAINING):
            self._change(instance, state=S.STOPPED, pid=None, process_created_at=None)
            return
        if reason is None:
            log_tail = read_last_process(self._paths.instance_log(instance.id))
            reason = str(self._engines[service.engine].explain_exit(exit, log_tail))
        died = after_death(instance, now=self._clock(), reason=reason)
        self._save(died)
        what = "gave up" if died.state is S.FAILED else "ended and will be started again"
        self._journal.record(
            "instance.exited",
            f"{instance.id} {what}: {reason}",
            severity=Severity.ERROR,
            service=service,
            instance_id=instance.id,
        )

    # --- state -------------------------------------------------------------------

    def _change(self, instance: Instance, **changes: Any) -> Instance:
        """Change an instance along the arrows of its life."""
        new = msgspec.structs.replace(instance, **changes)
        if new.state is not instance.state and new.state not in ALLOWED[instance.state]:
            raise RuntimeError(f"{instance.id}: {instance.state} cannot become {new.state}")
        return self._save(new)

    def _save(self, instance: Instance) -> Instance:
        """In memory at once, in the store soon; and the loop looks at it."""
        self._instances[instance.id] = instance
        self._journal.enqueue(lambda: self._store.save_instance(instance))
        self._wake.set()
        return instance

    def _publish_status(self, service: Service) -> None:
        instances = self.instances_of(service.id)
        status = service_status(service, instances)
        self._pool.put_service(service, status, service_reason(instances))
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


def _one_line(error: HydraError) -> str:
    return error.message if error.hint is None else f"{error.message}; hint: {error.hint}"
