"""The steps of instances from state to state: each begins something, and waits for nothing."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from hydra_box.gateway.pool import Pool
from hydra_box.plan import reconcile as plan
from hydra_box.plan.ways import way_of
from hydra_box.supervisor.instance_files import InstanceFiles
from hydra_box.supervisor.instances import Instances
from hydra_box.supervisor.life import Lives
from hydra_box.supervisor.naps import Naps
from hydra_box.supervisor.sleepers import Sleepers
from hydra_box.types import Instance, InstanceState, Service

S = InstanceState


class Steps:
    """Takes the steps that ``reconcile`` asks for; slow work is a task that changes the state."""

    def __init__(
        self,
        *,
        pool: Pool,
        instances: Instances,
        lives: Lives,
        naps: Naps,
        sleepers: Sleepers,
        files: InstanceFiles,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._pool = pool
        self._instances = instances
        self._lives = lives
        self._naps = naps
        self._sleepers = sleepers
        self._files = files
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Ends with an exception when a task broke: the daemon must end too."""

    def take(self, action: plan.Action, services: Mapping[str, Service]) -> None:
        """Take one step; a service itself is forgotten by whoever has it."""
        match action:
            case plan.CreateInstance():
                self._create(services[action.service_id])
            case plan.StartInstance():
                self._start(self._instances[action.instance_id], services)
            case plan.DrainInstance():
                self._drain(self._instances[action.instance_id])
            case plan.SleepInstance():
                self._sleep(self._instances[action.instance_id])
            case plan.WakeInstance():
                self._wake(self._instances[action.instance_id])
            case plan.StopInstance():
                self.stop(self._instances[action.instance_id])
            case plan.ForgetInstance():
                self._forget(self._instances[action.instance_id])

    def stop(self, instance: Instance) -> None:
        """End an instance's process now."""
        self._sleepers.end(instance)
        if instance.state is S.ASLEEP:
            # It has given back what it was granted.
            self._instances.change(instance.id, state=S.STOPPING, placement=None)
        elif instance.state is not S.STOPPING:
            self._instances.change(instance.id, state=S.STOPPING)
        self.begin(self._lives.end(instance.id), f"stop {instance.id}")

    def begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Have a task do some work."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    async def wait(self) -> None:
        """Until no task is left."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def leave(self) -> None:
        """Do nothing more, and leave every process as it is."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _create(self, service: Service) -> None:
        instance = Instance(
            id=f"{service.name}-{secrets.token_hex(4)}",
            service_id=service.id,
            state=S.PENDING,
            device="",
            created_at=self._clock(),
        )
        self._instances.save(instance)

    def _start(self, instance: Instance, services: Mapping[str, Service]) -> None:
        again = instance.state is S.BACKOFF
        restarts = instance.restarts + 1 if again else instance.restarts
        service = services[instance.service_id]
        self._instances.change(
            instance.id,
            state=S.STARTING,
            restarts=restarts,
            retry_at=None,
            way=way_of(service),
            may_sleep=service.idle_timeout_seconds is not None,
        )
        self.begin(self._lives.live(instance.id, service), instance.id)

    def _sleep(self, instance: Instance) -> None:
        self._pool.drain_instance(instance.id)
        self._instances.change(instance.id, state=S.ASLEEP, ready_at=None, measured=())
        self.begin(self._naps.sleep(instance.id), f"sleep {instance.id}")

    def _wake(self, instance: Instance) -> None:
        self._instances.change(instance.id, state=S.STARTING)
        self.begin(self._naps.wake(instance.id), f"wake {instance.id}")

    def _drain(self, instance: Instance) -> None:
        self._sleepers.end(instance)
        self._pool.drain_instance(instance.id)
        self._instances.change(instance.id, state=S.DRAINING)
        self.begin(self._stop_when_idle(instance.id), f"drain {instance.id}")

    async def _stop_when_idle(self, instance_id: str) -> None:
        await self._pool.wait_drained(instance_id)
        instance = self._instances.get(instance_id)
        if instance is not None and instance.state is S.DRAINING:
            self.stop(instance)

    def _forget(self, instance: Instance) -> None:
        self._instances.forget(instance.id)
        self._sleepers.forget_instance(instance.id)
        self._files.remove(instance.id)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self.failed.done():
            self.failed.set_exception(error)
