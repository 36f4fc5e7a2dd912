"""The life of one engine process: placed, started, ready, measured, over, explained."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from hydra_box.config import Paths
from hydra_box.engines.base import Engine
from hydra_box.errors import DoesNotFit, HydraError
from hydra_box.gateway.channel import EngineChannel
from hydra_box.gateway.pool import Pool
from hydra_box.journal import Journal
from hydra_box.plan.lifecycle import after_death
from hydra_box.plan.words import counted
from hydra_box.process import EngineProcess, read_last_process
from hydra_box.supervisor.boot import Boot
from hydra_box.supervisor.instances import Instances
from hydra_box.supervisor.running import STOP_GRACE_SECONDS, Running, while_alive
from hydra_box.types import (
    EngineName,
    Instance,
    InstanceState,
    Placement,
    ProcessExit,
    Service,
    Severity,
)

S = InstanceState


class Lives:
    """Runs engine processes, each from its placement to its end."""

    def __init__(
        self,
        *,
        instances: Instances,
        journal: Journal,
        pool: Pool,
        boot: Boot,
        engines: Mapping[EngineName, Engine],
        paths: Paths,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._instances = instances
        self._journal = journal
        self._pool = pool
        self._boot = boot
        self._engines = engines
        self._paths = paths
        self._clock = clock
        self._monotonic = monotonic
        self._running: dict[str, Running] = {}
        self.placing = asyncio.Lock()
        """Held while memory is given to an instance, or given back by one."""

    def with_process(self) -> list[str]:
        """The ids of the instances that have a process."""
        return list(self._running)

    def running(self, instance_id: str) -> Running | None:
        """The process of an instance, if it has one."""
        return self._running.get(instance_id)

    def progress(self, instance_id: str, engine: EngineName) -> str | None:
        """What a loading instance is doing, in a few words."""
        log_tail = read_last_process(self._paths.instance_log(instance_id))
        return self._engines[engine].progress(log_tail)

    def explain(self, instance_id: str, engine: EngineName, exit: ProcessExit) -> str:
        """Why the last process of an instance ended, from its log."""
        log_tail = read_last_process(self._paths.instance_log(instance_id))
        return str(self._engines[engine].explain_exit(exit, log_tail))

    async def end(self, instance_id: str) -> None:
        """End an instance's process, if it has one."""
        if running := self._running.get(instance_id):
            await running.process.stop(STOP_GRACE_SECONDS)

    def fail(self, instance_id: str, reason: str) -> None:
        """Kill a process that hangs or is sick; its instance goes on as after any other death.

        What it had under way and has not begun to answer goes elsewhere.
        """
        if running := self._running.get(instance_id):
            running.failure = running.failure or reason
            self._pool.drain_instance(instance_id)
            running.process.kill()

    async def live(self, instance_id: str, service: Service) -> None:
        """Start the process of an instance, and follow it to its end."""
        exit, reason, had_room, begun_at = ProcessExit(), None, True, self._monotonic()
        try:
            placement = await self._place(instance_id, service)
            exit, reason = await self._run(instance_id, service, placement, begun_at)
        except DoesNotFit as error:
            reason, had_room = _one_line(error), False
        except (HydraError, OSError) as error:
            reason = _one_line(error)
        await self._over(instance_id, service, exit, reason, had_room=had_room)

    def adopt(self, instance: Instance, service: Service, process: EngineProcess) -> None:
        """Take over a process that an earlier daemon started; then ``go_on`` with it."""
        if instance.placement is None:
            raise RuntimeError(f"{instance.id} has a process and no placement")
        launch = self._boot.launch(
            service, instance.id, instance.placement, may_sleep=instance.may_sleep
        )
        self._running[instance.id] = Running(service, launch, process, None)

    async def go_on(self, instance_id: str) -> None:
        """Follow a process that was adopted to its end."""
        running, reason = self._running[instance_id], None
        if self._instances[instance_id].state is S.ASLEEP:
            exit = await running.process.wait()
        else:
            exit, reason = await self._follow(running)
        await self._over(instance_id, running.service, exit, running.failure or reason)

    async def wait_answered(self, instance_ids: Iterable[str], seconds: float) -> None:
        """Until these serve or are over, or they took too long."""
        waits = [one.answered.wait() for id in instance_ids if (one := self._running.get(id))]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*waits)

    async def _over(
        self,
        instance_id: str,
        service: Service,
        exit: ProcessExit,
        reason: str | None,
        *,
        had_room: bool = True,
    ) -> None:
        """Its process is gone, or there never was one."""
        if running := self._running.pop(instance_id, None):
            running.answered.set()
        await self._pool.remove_instance(instance_id)
        self._after_end(instance_id, service, exit, reason, had_room=had_room)

    async def _place(self, instance_id: str, service: Service) -> Placement:
        """Decide where it runs; one after another, so that each sees the others' claims."""
        async with self.placing:
            others = [one for one in self._instances.all() if one.id != instance_id]
            placement = await self._boot.place(service, others)
            self._instances.change(
                instance_id, placement=placement, device=placement.device, measured=()
            )
            return placement

    async def _run(
        self, instance_id: str, service: Service, placement: Placement, begun_at: float
    ) -> tuple[ProcessExit, str | None]:
        process, launch, runtime_id = await self._boot.start(service, instance_id, placement)
        running = self._running[instance_id] = Running(service, launch, process, begun_at)
        before = self._instances[instance_id]
        # What it counted without room, or on another runtime, says nothing of how it runs now.
        same = before.runtime_id == runtime_id
        instance = self._instances.change(
            instance_id,
            pid=process.pid,
            process_created_at=process.created_at,
            runtime_id=runtime_id,
            failures=before.failures if same else before.boots_without_ready,
        )
        if instance.state is S.STOPPING:
            # It was told to stop before it had a process that could be stopped.
            return await process.stop(STOP_GRACE_SECONDS), None
        return await self._follow(running)

    async def _follow(self, running: Running) -> tuple[ProcessExit, str | None]:
        """How a process ended, and why if it was ended because it would never be ready."""
        reason = None
        try:
            await while_alive(running.process, self.settle(running))
        except (HydraError, OSError) as error:
            reason = _one_line(error)
            await running.process.stop(STOP_GRACE_SECONDS)
        exit = await running.process.wait()
        return exit, running.failure or reason

    async def settle(self, running: Running) -> None:
        """Wait until it serves, have it take requests, and measure what it took."""
        service, launch, process = running.service, running.launch, running.process
        # One that was adopted has been ready since its own daemon saw it so.
        known = self._instances.get(launch.instance_id)
        loaded = known is not None and known.ready_at is not None
        await self._boot.until_ready(service, launch, process, loaded=loaded)
        instance = self._instances.get(launch.instance_id)
        if instance is None or instance.state is not S.STARTING:
            return
        ready = self._instances.change(
            instance.id,
            state=S.READY,
            ready_at=instance.ready_at or self._clock(),
            reason=None,
        )
        self._take_requests(running)
        if not ready.measured:
            await self._measure(ready, service)

    def _take_requests(self, running: Running) -> None:
        """Have the pool give it requests from now on, first of those that wait."""
        service, launch, begun_at = running.service, running.launch, running.begun_at
        self._pool.add_instance(
            service.id,
            launch.instance_id,
            EngineChannel(Path(launch.socket_path)),
            launch.options.slots,
            engine=service.engine,
            start_seconds=None if begun_at is None else self._monotonic() - begun_at,
        )
        running.answered.set()
        self._journal.record(
            "instance.ready",
            f"{launch.instance_id} is ready (pid {running.process.pid}, {launch.device})",
            service=service,
            instance_id=launch.instance_id,
        )

    async def _measure(self, ready: Instance, service: Service) -> None:
        """Note what an instance really takes, beside what was predicted."""
        measured, correction = await self._boot.measure(service, ready)
        if self._instances.get(ready.id) is None:
            return
        self._instances.change(ready.id, measured=measured)
        if correction is not None and correction.factor > 1:
            self._journal.record(
                "plan.corrected",
                f"estimates for {correction.id} are multiplied by {correction.factor:.2f} "
                f"(measured {counted(correction.samples, 'time')})",
                service=service,
                instance_id=ready.id,
            )

    def _after_end(
        self,
        instance_id: str,
        service: Service,
        exit: ProcessExit,
        reason: str | None,
        *,
        had_room: bool,
    ) -> None:
        instance = self._instances[instance_id]
        if instance.state is S.ASLEEP:
            self._journal.record(
                "instance.exited",
                f"{instance_id} ended while it slept",
                severity=Severity.WARNING,
                service=service,
                instance_id=instance_id,
            )
        if instance.state in (S.STOPPING, S.DRAINING, S.ASLEEP):
            self._instances.change(
                instance_id, state=S.STOPPED, pid=None, process_created_at=None, placement=None
            )
            return
        if reason is None:
            reason = self.explain(instance_id, service.engine, exit)
        died = after_death(instance, now=self._clock(), reason=reason, had_room=had_room)
        self._instances.save(died)
        what = "ended and will be started again" if had_room else "waits for room"
        if died.state is S.FAILED:
            what = "gave up"
        self._journal.record(
            "instance.exited",
            f"{instance_id} {what}: {reason}",
            severity=Severity.ERROR,
            service=service,
            instance_id=instance_id,
        )


def _one_line(error: HydraError | OSError) -> str:
    """What went wrong; an ``OSError`` is of the machine, which had no descriptor or disk to give.

    It ends this start, and neither the daemon nor the other engines.
    """
    if isinstance(error, OSError):
        return f"the machine did not let it: {error}"
    return error.message if error.hint is None else f"{error.message}; hint: {error.hint}"
