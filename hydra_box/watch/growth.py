"""Watches what instances hold of the memory, and has those go that crowd the machine out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from hydra_box.alarms import Alarms
from hydra_box.journal import Journal
from hydra_box.measure import Holding, holdings, on_gpu
from hydra_box.plan.alarms import Sign
from hydra_box.plan.growth import Held, describe, outgrown, threatens
from hydra_box.sampler import Sampler
from hydra_box.supervisor.instances import Instances
from hydra_box.types import CPU, Instance, InstanceState, Machine, MeasuredMemory, Service, Severity

SCOPE = "growth."


class Growth:
    """Compares what each READY instance holds with what it was granted.

    Args:
        instances: the actual state.
        services: the desired one, for names.
        sampler: the machine as it is.
        alarms: are raised for an instance that has outgrown its budget.
        journal: is told of one that has to go.
        replace: has an instance drain, and another take its place.
        percent: of its budget, how much more it may hold.
        ram_reserve_bytes: what has to stay available.

    """

    def __init__(
        self,
        *,
        instances: Instances,
        services: Callable[[], tuple[Service, ...]],
        sampler: Sampler,
        alarms: Alarms,
        journal: Journal,
        replace: Callable[[str], None],
        percent: int,
        ram_reserve_bytes: int,
    ) -> None:
        self._instances = instances
        self._services = services
        self._sampler = sampler
        self._alarms = alarms
        self._journal = journal
        self._replace = replace
        self._percent = percent
        self._ram_reserve_bytes = ram_reserve_bytes

    async def look(self) -> None:
        """Look at all of them once."""
        ready = {
            one.id: one
            for one in self._instances.all()
            if one.state is InstanceState.READY and one.pid is not None and one.measured
        }
        pids = {one.id: one.pid for one in ready.values() if one.pid is not None}
        held = await asyncio.to_thread(holdings, pids.values())
        machine = self._sampler.latest()
        signs: list[Sign] = []
        for instance_id, pid in pids.items():
            instance, holds = self._instances.get(instance_id), held[pid]
            if instance is not None and instance.pid == pid and holds.pids:
                signs += self._judge(instance, holds, machine)
        self._alarms.hold(SCOPE, signs)

    def _judge(self, instance: Instance, holds: Holding, machine: Machine) -> Iterator[Sign]:
        for held in self._held(instance, holds, machine):
            id = f"{SCOPE}{instance.id}.{held.device}"
            if not outgrown(held, self._percent, was=self._alarms.is_raised(id)):
                continue
            service = next((one for one in self._services() if one.id == instance.service_id), None)
            if threatens(held.device, machine, self._ram_reserve_bytes):
                self._journal.record(
                    "instance.outgrown",
                    f"{instance.id} {describe(held)}, and almost nothing is left for others: "
                    "it is replaced",
                    severity=Severity.ERROR,
                    service=service,
                    instance_id=instance.id,
                )
                self._replace(instance.id)
                return
            yield Sign(
                id=id,
                message=f"{instance.id} {describe(held)}",
                hint="it is replaced when the machine runs out of memory; hydra-box stop and start "
                "do it now",
                service_name=None if service is None else service.name,
            )

    def _held(self, instance: Instance, holds: Holding, machine: Machine) -> Iterator[Held]:
        granted = (
            {}
            if instance.placement is None
            else {one.device: one.total_bytes for one in instance.placement.memory}
        )
        for one in instance.measured:
            now = _now(one, holds, machine)
            if now is not None:
                yield Held(
                    device=one.device,
                    granted_bytes=granted.get(one.device, 0),
                    at_ready_bytes=one.measured_bytes,
                    now_bytes=now,
                )


def _now(one: MeasuredMemory, holds: Holding, machine: Machine) -> int | None:
    """What an instance holds of a device by now; None: nobody tells."""
    if one.device != CPU:
        return on_gpu(one.device, holds.pids, machine)
    if one.private_bytes is None:
        return None
    # Pages of mapped files come and go; what an engine keeps for itself only grows. It counts from
    # when it was ready, whichever daemon saw that.
    return one.measured_bytes + holds.private_bytes - one.private_bytes
