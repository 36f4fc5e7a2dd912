"""Taking over what an earlier daemon left: its engines go on, and what is over is reaped."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from hydra_box.journal import Journal
from hydra_box.plan.adoption import Estate, Over, divide
from hydra_box.plan.ways import with_way
from hydra_box.plan.words import counted
from hydra_box.process import adopt
from hydra_box.supervisor.instance_files import InstanceFiles
from hydra_box.supervisor.instances import Instances
from hydra_box.supervisor.leftovers import Leftovers
from hydra_box.supervisor.life import Lives
from hydra_box.types import Instance, ProcessExit, Service, Severity

ANSWER_SECONDS = 5.0
"""How long the daemon waits for engines that served before it takes requests for them."""


class Adoption:
    """The first that a daemon does: nothing is placed before it knows what is there."""

    def __init__(
        self, *, journal: Journal, instances: Instances, lives: Lives, files: InstanceFiles
    ) -> None:
        self._journal = journal
        self._instances = instances
        self._lives = lives
        self._files = files
        self._leftovers: Leftovers | None = None

    async def take_over(self, services: Mapping[str, Service]) -> Estate:
        """Know every instance that goes on, its process, and what it was granted.

        What else was left is not touched until ``reap``.
        """
        self._leftovers = await self._files.leftovers()
        rows = await self._instances.left()
        estate = divide(services.values(), rows, self._leftovers.leaders)
        adopted, over = [], list(estate.over)
        for instance in estate.adopted:
            if self._adopt(instance, services[instance.service_id]):
                adopted.append(instance)
            else:
                over.append(Over(instance=instance, why=None))
        for one in over:
            self._instances.drop(one.instance.id)
        return Estate(adopted=tuple(adopted), over=tuple(over))

    async def wait_answered(self, adopted: Collection[Instance]) -> None:
        """Until those that served do so again, or take too long for others to wait for them."""
        served = [one.id for one in adopted if one.ready_at is not None]
        await self._lives.wait_answered(served, ANSWER_SECONDS)

    async def reap(self, estate: Estate) -> None:
        """End the processes that do not go on, and remove what they had on the disk.

        Nothing is placed meanwhile: they hold memory.
        """
        if self._leftovers is None:
            raise RuntimeError("nothing was taken over yet")
        async with self._lives.placing:
            pids = await asyncio.to_thread(self._leftovers.reap, estate.adopted)
        for one in estate.over:
            if one.is_news:
                await self._tell(one)
            self._files.remove(one.instance.id)
        if pids:
            self._journal.record(
                "daemon.reaped",
                f"ended {counted(len(pids), 'engine')} that an earlier daemon left: {pids}",
                severity=Severity.WARNING,
            )
        self._leftovers = None

    async def _tell(self, over: Over) -> None:
        """Note what has ended while nobody watched, before its log is removed."""
        instance, why = over.instance, over.why
        if why is None and instance.way is not None:
            engine = instance.way.engine
            why = await asyncio.to_thread(self._lives.explain, instance.id, engine, ProcessExit())
        self._journal.record(
            "instance.exited",
            f"{instance.id} does not go on: {why}",
            severity=Severity.WARNING,
            instance_id=instance.id,
        )

    def _adopt(self, instance: Instance, service: Service) -> bool:
        """Take over an instance and its process, if that is still there."""
        pid, created_at, way = instance.pid, instance.process_created_at, instance.way
        if pid is None or created_at is None or way is None:
            return False
        process = adopt(pid, created_at, self._files.names(instance.id))
        if process is None:
            return False
        self._instances.take_over(instance)
        self._lives.adopt(instance, with_way(service, way), process)
        self._journal.record(
            "instance.adopted",
            f"{instance.id} goes on as pid {pid}, which an earlier daemon started",
            service=service,
            instance_id=instance.id,
        )
        return True
