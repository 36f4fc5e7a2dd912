"""Watches how often the engines of a service die: each death is an event, many are an alarm."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable

from hydra_box.alarms import Alarms
from hydra_box.plan.alarms import Sign
from hydra_box.plan.words import counted
from hydra_box.types import Instance, Service

SCOPE = "restarts."
WITHIN_SECONDS = 3600.0


class Deaths:
    """Counts restarts by service over the last hour.

    Args:
        alarms: where one is raised.
        most: so many are too many.
        clock: monotonic seconds.

    """

    def __init__(
        self, alarms: Alarms, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._alarms = alarms
        self._most = most
        self._clock = clock
        self._restarts: dict[str, int] = {}
        """By instance, at the last look."""
        self._times: dict[str, deque[float]] = {}
        """By service: when one of its instances was started again."""

    def look(self, services: Iterable[Service], instances: Iterable[Instance]) -> None:
        """Count what was started again since the last look."""
        now, known, self._restarts = self._clock(), self._restarts, {}
        names = {one.id: one.name for one in services}
        for instance in instances:
            before = known.get(instance.id, instance.restarts)
            self._restarts[instance.id] = instance.restarts
            times = self._times.setdefault(instance.service_id, deque())
            times.extend([now] * max(0, instance.restarts - before))
        self._times = {id: times for id, times in self._times.items() if id in names}
        signs = []
        for service_id, times in self._times.items():
            while times and now - times[0] > WITHIN_SECONDS:
                times.popleft()
            if len(times) >= self._most:
                signs.append(_sign(service_id, names[service_id], len(times)))
        self._alarms.hold(SCOPE, signs)


def _sign(service_id: str, name: str, count: int) -> Sign:
    return Sign(
        id=f"{SCOPE}{service_id}",
        message=f"engines of {name} died {counted(count, 'time')} within an hour",
        hint=f"hydra-box logs {name} shows why",
        service_name=name,
    )
