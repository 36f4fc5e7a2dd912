"""All that watches, wired: liveness on a timer of its own, the rest on another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hydra_box.alarms import Alarms
from hydra_box.config import Settings
from hydra_box.engines.base import Engine
from hydra_box.gateway.pool import Pool
from hydra_box.journal import Journal
from hydra_box.plan.alarms import Bounds
from hydra_box.plan.liveness import Limits
from hydra_box.sampler import Sampler
from hydra_box.supervisor import Supervisor
from hydra_box.supervisor.instances import Instances
from hydra_box.supervisor.life import Lives
from hydra_box.tls import TlsFiles
from hydra_box.types import EngineName, Severity
from hydra_box.watch.certificate import CertificateWatch
from hydra_box.watch.clock import ClockWatch
from hydra_box.watch.deaths import Deaths
from hydra_box.watch.gpus import GpuWatch
from hydra_box.watch.growth import Growth
from hydra_box.watch.host import HostWatch, read_conditions
from hydra_box.watch.liveness import Liveness

log = logging.getLogger(__name__)

PERIOD_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Rooms:
    """What is watched."""

    supervisor: Supervisor
    instances: Instances
    lives: Lives
    pool: Pool
    journal: Journal
    sampler: Sampler
    alarms: Alarms


class Watching:
    """Runs all that watches."""

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        alarms: Alarms,
        liveness: Liveness,
        growth: Growth,
        host: HostWatch,
        clock: ClockWatch,
        deaths: Deaths,
        certificate: CertificateWatch,
    ) -> None:
        self._supervisor = supervisor
        self._alarms = alarms
        self._growth = growth
        self._host = host
        self._clock = clock
        self._deaths = deaths
        self._certificate = certificate
        self.liveness = liveness

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(
                    self._look_forever(
                        "liveness", self.liveness.look, self.liveness.period_seconds
                    ),
                )
                tasks.create_task(self._look_forever("machine", self.look, PERIOD_SECONDS))
        finally:
            self.liveness.forget_all()

    async def _look_forever(
        self, what: str, look: Callable[[], Awaitable[None]], period_seconds: float
    ) -> None:
        """Look again and again; while that fails, the box goes on and says so."""
        alarm = f"watching.{what}"
        while True:
            try:
                await look()
            except Exception as error:
                # Whatever it is: the next look may be better, and no engine ends for it.
                if not self._alarms.is_raised(alarm):
                    log.exception("watching failed, and is tried again")
                self._alarms.raise_(
                    alarm,
                    f"the {what} of this box cannot be watched: {error!r}",
                    hint="that is tried again; hydra-box support-bundle has the details",
                    severity=Severity.ERROR,
                )
            else:
                self._alarms.clear(alarm)
            await asyncio.sleep(period_seconds)

    async def look(self) -> None:
        """Look at everything but liveness once."""
        self._clock.look()
        self._deaths.look(self._supervisor.services(), self._supervisor.instances())
        await self._certificate.look()
        await self._host.look()
        await self._growth.look()


def watching(
    rooms: Rooms,
    settings: Settings,
    *,
    engines: Mapping[EngineName, Engine],
    places: Mapping[str, Path],
    tls_files: TlsFiles | None = None,
) -> Watching:
    """All that watches; ``places`` are the directories of the box, by what they hold."""
    gpus = GpuWatch(
        alarms=rooms.alarms,
        record=rooms.journal.record,
        instances=rooms.instances,
        lives=rooms.lives,
    )
    rooms.sampler.tell(gpus.look)
    bounds = Bounds(
        disk_bytes=settings.disk_alarm_bytes,
        ram_bytes=settings.memory_reserve_bytes,
        daemon_bytes=settings.daemon_memory_alarm_bytes,
    )
    liveness = Liveness(
        instances=rooms.instances,
        pool=rooms.pool,
        lives=rooms.lives,
        journal=rooms.journal,
        engines=engines,
        limits=Limits(
            hang_seconds=settings.hang_timeout_seconds,
            busy_hang_seconds=settings.busy_hang_timeout_seconds,
            probe_seconds=settings.probe_interval_seconds,
        ),
    )
    rooms.supervisor.use_health(liveness.suspects)
    return Watching(
        supervisor=rooms.supervisor,
        alarms=rooms.alarms,
        liveness=liveness,
        growth=Growth(
            instances=rooms.instances,
            services=rooms.supervisor.services,
            sampler=rooms.sampler,
            alarms=rooms.alarms,
            journal=rooms.journal,
            replace=rooms.supervisor.replace,
            percent=settings.memory_growth_percent,
            ram_reserve_bytes=settings.memory_reserve_bytes,
        ),
        host=HostWatch(rooms.alarms, bounds, partial(read_conditions, places)),
        clock=ClockWatch(rooms.alarms, settings.clock_jump_seconds),
        deaths=Deaths(rooms.alarms, settings.restarts_alarm_count),
        certificate=CertificateWatch(rooms.alarms, tls_files),
    )
