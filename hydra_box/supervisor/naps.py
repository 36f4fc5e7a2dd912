"""The sleep of engine processes that can: asleep and awake again, else stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from hydra_box.engines.sleeping import SleepMode
from hydra_box.errors import DoesNotFit, HydraError
from hydra_box.gateway.pool import Pool
from hydra_box.journal import Journal
from hydra_box.plan.sleep import has_room, why_not_in_ram
from hydra_box.supervisor.boot import Boot
from hydra_box.supervisor.instances import Instances
from hydra_box.supervisor.life import Lives
from hydra_box.supervisor.running import STOP_GRACE_SECONDS, Running, while_alive
from hydra_box.types import EngineName, InstanceState, Placement, Severity

S = InstanceState


class Naps:
    """Has engine processes fall asleep and wake; one that does not is stopped."""

    def __init__(
        self,
        *,
        instances: Instances,
        journal: Journal,
        pool: Pool,
        boot: Boot,
        lives: Lives,
        modes: Mapping[EngineName, SleepMode],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._instances = instances
        self._journal = journal
        self._pool = pool
        self._boot = boot
        self._lives = lives
        self._modes = modes
        self._monotonic = monotonic

    def engines(self) -> frozenset[EngineName]:
        """Those with a sleep mode."""
        return frozenset(self._modes)

    async def sleep(self, instance_id: str) -> None:
        """Have an instance that is ASLEEP do so, if it does not yet."""
        if running := self._lives.running(instance_id):
            async with running.napping:
                await self._attempt(running, self._sleep, "put to sleep")

    async def wake(self, instance_id: str) -> None:
        """Have an instance that was ASLEEP and is STARTING serve again."""
        if running := self._lives.running(instance_id):
            async with running.napping:
                await self._attempt(running, self._wake, "woken")

    async def _attempt(
        self, running: Running, work: Callable[[Running], Coroutine[Any, Any, None]], what: str
    ) -> None:
        try:
            await while_alive(running.process, work(running))
        except HydraError as error:
            instance = self._instances.get(running.instance_id)
            if instance is not None and instance.state in (S.ASLEEP, S.STARTING):
                self._journal.record(
                    "instance.sleepless",
                    f"{instance.id} is stopped instead of {what}: {error.message}",
                    severity=Severity.INFO if isinstance(error, DoesNotFit) else Severity.WARNING,
                    service=running.service,
                    instance_id=instance.id,
                )
                self._instances.change(instance.id, state=S.STOPPING, placement=None)
                await running.process.stop(STOP_GRACE_SECONDS)

    async def _sleep(self, running: Running) -> None:
        mode, socket_path = self._modes[running.service.engine], Path(running.launch.socket_path)
        await self._pool.remove_instance(running.instance_id)
        if await mode.sleeps(socket_path):
            return  # An earlier daemon told it, and its weights are in the RAM.
        async with self._lives.placing:
            placement = self._placement(running, S.ASLEEP)
            if placement is None:
                return  # It was woken, or stopped, before it slept.
            machine, available = await self._boot.free(self._instances.all())
            if why := why_not_in_ram(placement, machine, available):
                raise DoesNotFit(why)
            await mode.sleep(socket_path)

    async def _wake(self, running: Running) -> None:
        running.begun_at = self._monotonic()
        async with self._lives.placing:
            placement = self._placement(running, S.STARTING)
            if placement is None:
                return  # It was stopped before it woke, and may be forgotten.
            await self._check_room(running.instance_id, placement)
            await self._modes[running.service.engine].wake(Path(running.launch.socket_path))
        await self._lives.settle(running)

    def _placement(self, running: Running, state: InstanceState) -> Placement | None:
        """Where an instance is, if it is still in a state."""
        instance = self._instances.get(running.instance_id)
        return None if instance is None or instance.state is not state else instance.placement

    async def _check_room(self, instance_id: str, placement: Placement) -> None:
        others = [one for one in self._instances.all() if one.id != instance_id]
        _, available = await self._boot.free(others)
        if not has_room(placement, available):
            raise DoesNotFit("others have taken the memory that it gave back")
