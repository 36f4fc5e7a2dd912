"""Watches whether instances that serve are alive, and replaces those that are not.

What requests show of an instance is free. Only one that nobody has asked for a while is asked for
a token, and only one that lets a request wait is asked for its counters.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hydra_box.engines.base import Engine
from hydra_box.errors import EngineError
from hydra_box.gateway.pool import Pool
from hydra_box.journal import Journal
from hydra_box.plan.liveness import (
    Life,
    Limits,
    Pulse,
    Verdict,
    Vitals,
    seen,
    verdict,
    wants_probe,
)
from hydra_box.supervisor.instances import Instances
from hydra_box.supervisor.life import Lives
from hydra_box.supervisor.running import Running
from hydra_box.types import EngineName, Instance, InstanceState, Severity
from hydra_box.watch.signs_of_life import Work, look_at

log = logging.getLogger(__name__)

LONGEST_PERIOD_SECONDS = 5.0
LOOKS_BEFORE_SUSPECT = 3
MOST_PERIODS = 2
"""Of silence, what one look adds at most."""


@dataclass(eq=False, slots=True)
class _Patient:
    """One start of an instance, as it was seen so far."""

    pid: int
    seen_at: float
    vitals: Vitals | None = None
    life: Life = Life.ALIVE
    resting: bool = False
    answered: int = 0
    """Probes that it answered well."""
    wrong_answers: int = 0
    """Probes in turn that it answered wrongly."""
    unanswered: bool = False
    """Whether a probe was sent that it has not answered."""
    steps: float = 0.0
    probe: asyncio.Task[None] | None = None
    counting: asyncio.Task[None] | None = None

    def forget(self) -> None:
        """Ask it nothing more."""
        for task in (self.probe, self.counting):
            if task is not None:
                task.cancel()


class Liveness:
    """Looks at every instance that is READY, again and again.

    Args:
        instances: the actual state.
        pool: tells what requests show, and lets an instance rest.
        lives: has the processes, and ends one that hangs.
        journal: is told.
        engines: know how to ask one.
        limits: how patient to be.
        clock: monotonic seconds.

    """

    def __init__(
        self,
        *,
        instances: Instances,
        pool: Pool,
        lives: Lives,
        journal: Journal,
        engines: Mapping[EngineName, Engine],
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._instances = instances
        self._pool = pool
        self._lives = lives
        self._journal = journal
        self._engines = engines
        self._limits = limits
        self._clock = clock
        self._patients: dict[str, _Patient] = {}

    @property
    def period_seconds(self) -> float:
        """Between two looks."""
        suspect = self._limits.hang_seconds / (LOOKS_BEFORE_SUSPECT * 4)
        return min(suspect or LONGEST_PERIOD_SECONDS, LONGEST_PERIOD_SECONDS)

    def suspects(self) -> frozenset[str]:
        """The ids of the instances that are not well: they go first when some have to go."""
        return frozenset(
            id for id, patient in self._patients.items() if patient.life is not Life.ALIVE
        )

    def forget_all(self) -> None:
        """Nobody looks any more: ask nothing more."""
        for patient in self._patients.values():
            patient.forget()

    async def look(self) -> None:
        """Look at all of them once, and do what follows."""
        there = [
            (one, running)
            for one in self._instances.all()
            if one.state is InstanceState.READY
            and one.pid is not None
            and (running := self._lives.running(one.id)) is not None
        ]
        self._keep_only(one for one, _ in there)
        work = await asyncio.to_thread(
            look_at,
            {one.id: (running.process.pid, _socket(running)) for one, running in there},
        )
        for instance, running in there:
            if self._lives.running(instance.id) is running:
                self._judge(instance, running, work[instance.id])

    def _keep_only(self, instances: Iterable[Instance]) -> None:
        pids = {one.id: one.pid for one in instances}
        for id, patient in list(self._patients.items()):
            if pids.get(id) != patient.pid:
                self._patients.pop(id).forget()

    def _judge(self, instance: Instance, running: Running, work: Work) -> None:
        now, told = self._clock(), self._pool.heard_and_asked(instance.id)
        patient = self._patients.get(instance.id)
        if told is None:
            return
        if patient is None:
            patient = _Patient(pid=running.process.pid, seen_at=now)
            self._patients[instance.id] = patient
        heard, asked = told
        pulse = Pulse(
            heard=heard + patient.answered,
            asked=asked + patient.unanswered,
            listens=work.listens,
            steps=patient.steps,
            cpu_seconds=work.cpu_seconds,
            read_bytes=work.read_bytes,
            wrong_answers=patient.wrong_answers,
        )
        patient.vitals = vitals = seen(
            patient.vitals,
            pulse,
            now - patient.seen_at,
            most_seconds=MOST_PERIODS * self.period_seconds,
        )
        patient.seen_at = now
        if vitals.quiet_seconds == 0.0:
            patient.unanswered, patient.wrong_answers = False, 0
        self._ask(patient, vitals, running)
        self._act(instance, patient, verdict(vitals, self._limits))

    def _ask(self, patient: _Patient, vitals: Vitals, running: Running) -> None:
        """Begin to ask it what is not known otherwise."""
        probing = patient.probe is not None and not patient.probe.done()
        if not probing and (wants_probe(vitals, self._limits) or patient.unanswered):
            patient.unanswered = True
            patient.probe = asyncio.create_task(self._probe(patient, running))
        counting = patient.counting is not None and not patient.counting.done()
        if not counting and vitals.silent_seconds > 0:
            patient.counting = asyncio.create_task(self._count(patient, running))

    async def _probe(self, patient: _Patient, running: Running) -> None:
        """Ask it for one token; while it does not answer, that counts as a request that waits."""
        engine = self._engines[running.service.engine]
        try:
            answered = await engine.probe(_socket(running), running.launch.access_name)
        except EngineError as error:
            log.warning("%s: %s", running.instance_id, error.message)
            patient.wrong_answers += 1
            return
        if answered:
            patient.wrong_answers = 0
            patient.unanswered = False
            patient.answered += 1

    async def _count(self, patient: _Patient, running: Running) -> None:
        """Read how many steps it has counted: an answer that is no stream shows nothing else."""
        try:
            found = await self._engines[running.service.engine].metrics(_socket(running))
        except EngineError as error:
            log.debug("%s: %s", running.instance_id, error.message)
            return
        patient.steps = found.steps or 0.0

    def _act(self, instance: Instance, patient: _Patient, now: Verdict) -> None:
        before, patient.life = patient.life, now.life
        if now.life is Life.DEAD:
            if before is not Life.DEAD:
                patient.forget()
                self._lives.fail(instance.id, now.reason)
            return
        # The only one that serves stays in use: who waits for it waits for its successor as well.
        resting = now.life is Life.SUSPECT and self._another_serves(instance)
        if resting is not patient.resting:
            patient.resting = resting
            self._pool.rest_instance(instance.id, resting=resting)
        if now.life is before:
            return
        if now.life is Life.SUSPECT:
            self._tell(instance, "instance.suspect", now.reason, Severity.WARNING)
        else:
            self._tell(instance, "instance.recovered", "it gives signs of life again")

    def _another_serves(self, instance: Instance) -> bool:
        return any(
            one.id != instance.id
            and one.state is InstanceState.READY
            and (found := self._patients.get(one.id)) is not None
            and found.life is Life.ALIVE
            for one in self._instances.of(instance.service_id)
        )

    def _tell(
        self, instance: Instance, kind: str, what: str, severity: Severity = Severity.INFO
    ) -> None:
        running = self._lives.running(instance.id)
        self._journal.record(
            kind,
            f"{instance.id}: {what}",
            severity=severity,
            service=None if running is None else running.service,
            instance_id=instance.id,
        )


def _socket(running: Running) -> Path:
    return Path(running.launch.socket_path)
