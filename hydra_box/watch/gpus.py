"""Watches the GPUs at every look: alarms, the instances of those that are lost, their return."""

from __future__ import annotations

import time
from collections.abc import Callable

from hydra_box.alarms import Alarms
from hydra_box.journal import Record
from hydra_box.plan.alarms import gpu_signs
from hydra_box.plan.gpu_loss import devices_of, lost_devices
from hydra_box.supervisor.instances import Instances
from hydra_box.supervisor.life import Lives
from hydra_box.types import InstanceState, Machine, Severity

SCOPE = "gpu."

S = InstanceState


class GpuWatch:
    """Ends what ran on a GPU that is gone, and has it started again when one comes.

    Args:
        alarms: where GPUs in trouble are told.
        record: is told of what their driver reports.
        instances: the actual state.
        lives: ends processes.
        clock: Unix time.

    """

    def __init__(
        self,
        *,
        alarms: Alarms,
        record: Record,
        instances: Instances,
        lives: Lives,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._alarms = alarms
        self._record = record
        self._instances = instances
        self._lives = lives
        self._clock = clock
        self._here: frozenset[str] = frozenset()
        self._missed: frozenset[str] = frozenset()
        """Devices that were gone at the last look, without anyone saying why."""

    def look(self, machine: Machine) -> None:
        """Do what follows from a look at the machine."""
        self._alarms.hold(SCOPE, gpu_signs(machine, self._alarms.raised()))
        for fault in machine.gpu_faults:
            severity = Severity.WARNING if fault.of_a_program else Severity.ERROR
            self._record("gpu.xid", fault.message, severity=severity)
        self._end_lost(machine)
        here = frozenset(gpu.uuid for gpu in machine.gpus)
        if here - self._here:
            self._start_waiting()
        self._here = here

    def _end_lost(self, machine: Machine) -> None:
        running = [one for one in self._instances.all() if one.state in (S.READY, S.STARTING)]
        lost = lost_devices(machine, {device for one in running for device in devices_of(one)})
        told = {one.uuid for one in machine.lost_gpus}
        # A driver that only missed one look takes no instance down.
        certain = {uuid for uuid in lost if uuid in told or uuid in self._missed}
        self._missed = frozenset(lost)
        for instance in running:
            if gone := [one for one in devices_of(instance) if one in certain]:
                self._lives.fail(instance.id, lost[gone[0]])

    def _start_waiting(self) -> None:
        """A GPU has come: those that wait need not wait for their delay as well."""
        for instance in self._instances.all():
            if instance.state is S.BACKOFF and instance.retry_at is not None:
                self._instances.change(instance.id, retry_at=self._clock())
