"""Has instances start in turn, and knows when each service will be ready.

``plan/restore.py`` says who may start; here is what that depends on: what loads already, how far
it is, and how much of its weights each one will have to read from a disk.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hydra_box.plan import reconcile as plan
from hydra_box.plan.lifecycle import waits_for_room
from hydra_box.plan.load_time import NO_WEIGHTS, SHORTEST_SECONDS, Weights, left_seconds
from hydra_box.plan.restore import (
    Eta,
    Load,
    etas,
    in_order,
    keeps_place,
    start_now,
    starts_asleep,
)
from hydra_box.plan.ways import way_of
from hydra_box.supervisor.load_times import LoadTimes
from hydra_box.supervisor.page_cache import bytes_read, weights_at
from hydra_box.types import Instance, InstanceState, Service, Way

log = logging.getLogger(__name__)

S = InstanceState

CPU_CORES_PER_LOAD = 4
"""An engine that loads keeps about two busy, and requests need some too."""

LOOK_AGAIN_SECONDS = 1.0
"""While something loads, which may have read all that it reads from the disk."""

LOOK_LIMIT_SECONDS = 1.0

NEARLY_ALL = 0.9
"""Of its weights; what an engine has read of them is counted with all that its processes read."""


@dataclass(slots=True)
class _UnderWay:
    """A start that has begun, as it was expected then."""

    way: Way
    weights: Weights
    expected_seconds: float
    begun_at: float
    """Monotonic seconds, as ``read_at``."""
    was_let: bool
    """Whether it began here, so that its beginning is known; else it was adopted."""
    read_bytes: int = 0
    read_at: float | None = None
    """When it had read what has to come from the disk."""


class Restore:
    """Lets those start whose turn it is; the others stay as they are until it comes."""

    def __init__(
        self,
        load_times: LoadTimes,
        *,
        places: int,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make it; ``places`` is how many engines may load at once."""
        self._load_times = load_times
        self._places = places
        self._clock = clock
        self._monotonic = monotonic
        self._under_way: dict[str, _UnderWay] = {}
        self._weights: dict[str, Weights] = {}
        """By the path of the model: as they lay there at the last look."""
        self._looking: asyncio.Task[tuple[dict[str, Weights], dict[str, int]]] | None = None
        self._has_looked = False
        self._etas: dict[str, Eta] = {}
        self._told_at = 0.0
        self._waits = False
        self.last_used: Mapping[str, float] = {}
        """Service id to when it was last called, as the books of earlier daemons have it."""

    def eta(self, service_id: str) -> Eta | None:
        """When the next instance of a service is ready; None: nothing of it is to start."""
        eta = self._etas.get(service_id)
        if eta is None:
            return None
        passed = self._monotonic() - self._told_at
        return Eta(seconds=max(SHORTEST_SECONDS, eta.seconds - passed), before=eta.before)

    def starts_asleep(self, service: Service) -> bool:
        """Whether a service sleeps when the daemon starts."""
        return starts_asleep(service, self.last_used.get(service.id), now=self._clock())

    def look_again_seconds(self) -> float | None:
        """How soon to ask again although nothing happens; None: nobody waits for that."""
        return LOOK_AGAIN_SECONDS if self._waits or self._under_way else None

    async def look(self, services: Iterable[Service], instances: Sequence[Instance]) -> None:
        """Take note of what loads, how far that is, and of what is in memory of the rest."""
        now = self._monotonic()
        self._end_those_over({one.id: one for one in instances}, now)
        self._take_over(() if self._has_looked else instances)
        starting = {one.service_id for one in instances if one.state in (S.PENDING, S.BACKOFF)}
        paths = {one.model_path for one in services if one.id in starting}
        reading = {
            one.id: one.pid
            for one in instances
            if one.pid is not None and (begun := self._under_way.get(one.id)) and _reads(begun)
        }
        if paths or reading:
            await self._look_at_disks(paths, reading)

    async def _look_at_disks(self, paths: Iterable[str], pids: Mapping[str, int]) -> None:
        """Ask the kernel; on a disk that does not answer, what was known last has to do."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(asyncio.to_thread(_look, paths, pids))
        try:
            async with asyncio.timeout(LOOK_LIMIT_SECONDS):
                weights, read = await asyncio.shield(self._looking)
        except TimeoutError:
            return
        except OSError as error:
            log.warning("what engines read could not be looked at: %s", error)
            return
        self._weights |= weights
        for instance_id, read_bytes in read.items():
            self._note_read(instance_id, read_bytes)

    def _note_read(self, instance_id: str, read_bytes: int) -> None:
        begun = self._under_way.get(instance_id)
        if begun is not None:
            begun.read_bytes = read_bytes
            if read_bytes >= NEARLY_ALL * begun.weights.cold_bytes:
                begun.read_at = self._monotonic()

    def let(
        self,
        actions: Iterable[plan.Action],
        services: Mapping[str, Service],
        instances: Sequence[Instance],
        *,
        waking: Collection[str] = (),
    ) -> list[plan.Action]:
        """The actions, without the starts whose turn has not come, and the others in their order.

        Args:
            actions: what is to be done.
            services: by id.
            instances: every instance.
            waking: ids of services that somebody waits for.
        """
        rest: list[plan.Action] = []
        due: set[str] = set()
        for action in actions:
            if isinstance(action, plan.StartInstance):
                due.add(action.instance_id)
            else:
                rest.append(action)
        queue = in_order(
            [one for one in instances if one.id in due or self._comes_back(one, services)],
            instances,
            services,
            waking=waking,
            last_used=self.last_used,
        )
        loads = [self._load_of(one, services[one.service_id], one.id in due) for one in queue]
        under_way = [self._left_of(one) for one in instances if one.id in self._under_way]
        let = start_now((one for one in loads if not one.due_seconds), under_way, self._places)
        self._etas = etas(loads, under_way, self._places)
        self._told_at = self._monotonic()
        self._waits = len(let) < len(due)
        for one in let:
            self._begin(one.instance_id, way_of(services[one.service_id]), was_let=True)
        starts = [plan.StartInstance(instance_id=one.instance_id) for one in let]
        # A service is forgotten last, because that takes a while.
        last = [one for one in rest if isinstance(one, plan.ForgetService)]
        return [*(one for one in rest if one not in last), *starts, *last]

    def _comes_back(self, instance: Instance, services: Mapping[str, Service]) -> bool:
        """Whether an instance will be started again, and it is known when."""
        waits = instance.state is S.BACKOFF and not waits_for_room(instance)
        return waits and instance.retry_at is not None and instance.service_id in services

    def _load_of(self, instance: Instance, service: Service, is_due: bool) -> Load:
        """A start that is to come."""
        weights = self._weights.get(service.model_path, NO_WEIGHTS)
        due_in = 0.0 if is_due or instance.retry_at is None else instance.retry_at - self._clock()
        return Load(
            instance_id=instance.id,
            service_id=service.id,
            seconds=self._load_times.seconds(way_of(service), weights),
            reading_seconds=weights.cold_bytes / self._load_times.bytes_per_second(),
            disk=weights.disk,
            due_seconds=0.0 if is_due else max(SHORTEST_SECONDS, due_in),
        )

    def _left_of(self, instance: Instance) -> Load:
        """A start that is under way."""
        begun = self._under_way[instance.id]
        elapsed = self._monotonic() - begun.begun_at
        unread = max(0, begun.weights.cold_bytes - begun.read_bytes) if _reads(begun) else 0
        reading = unread / self._load_times.bytes_per_second()
        return Load(
            instance_id=instance.id,
            service_id=instance.service_id,
            seconds=max(left_seconds(begun.expected_seconds, elapsed), reading),
            reading_seconds=reading,
            disk=begun.weights.disk,
            has_place=keeps_place(begun.expected_seconds, elapsed),
        )

    def _take_over(self, instances: Iterable[Instance]) -> None:
        """Take note of the starts of an earlier daemon; what starts later unasked only wakes."""
        self._has_looked = True
        for one in instances:
            if one.state is S.STARTING and one.way is not None:
                self._begin(one.id, one.way, was_let=False)

    def _begin(self, instance_id: str, way: Way, *, was_let: bool) -> None:
        """A start begins now; of one that did not begin here, nothing is known but what it runs."""
        weights = self._weights.get(way.model_path, NO_WEIGHTS) if was_let else NO_WEIGHTS
        self._under_way[instance_id] = _UnderWay(
            way=way,
            weights=weights,
            expected_seconds=self._load_times.seconds(way, weights),
            begun_at=self._monotonic(),
            was_let=was_let,
        )

    def _end_those_over(self, instances: Mapping[str, Instance], now: float) -> None:
        """Forget the starts that are not under way any more; of those that are ready, learn."""
        for instance_id, begun in tuple(self._under_way.items()):
            instance = instances.get(instance_id)
            if instance is not None and instance.state is S.STARTING:
                continue
            del self._under_way[instance_id]
            if begun.was_let and instance is not None and instance.state is S.READY:
                seconds = now - begun.begun_at
                reading = (begun.read_at or now) - begun.begun_at if begun.weights.cold_bytes else 0
                self._load_times.learn(begun.way, begun.weights, seconds, reading)


def load_places(load_parallelism: int) -> int:
    """How many engines load at once here, of what the owner has set; 0: nothing."""
    return load_parallelism or max(1, len(os.sched_getaffinity(0)) // CPU_CORES_PER_LOAD)


def _reads(begun: _UnderWay) -> bool:
    """Whether a start has yet to get some of its weights from the disk."""
    return begun.weights.cold_bytes > 0 and begun.read_at is None


def _look(
    paths: Iterable[str], pids: Mapping[str, int]
) -> tuple[dict[str, Weights], dict[str, int]]:
    """The weights at each path, and what the processes of each instance have read; blocking."""
    weights = {path: weights_at(path) for path in paths}
    return weights, {instance_id: bytes_read(pid) for instance_id, pid in pids.items()}
