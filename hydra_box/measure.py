"""What engine processes really hold: of GPUs as NVML tells, of the RAM as the kernel tells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress

import psutil

from hydra_box.engines.base import MemoryReport
from hydra_box.types import (
    CPU,
    Claim,
    DeviceMemory,
    Frozen,
    Instance,
    InstanceState,
    Machine,
    MeasuredMemory,
)


class Holding(Frozen, frozen=True, kw_only=True):
    """What the processes of one instance hold of the RAM, in bytes."""

    pids: frozenset[int]
    resident_bytes: int
    """With the pages of files that they have mapped, each process counted on its own."""
    private_bytes: int
    """Without those pages, which the kernel counts as available."""


def holding(pid: int) -> Holding:
    """What a process and its descendants hold; nothing, if it is gone. Blocking, milliseconds."""
    return _sum(tree(pid))


def holdings(pids: Iterable[int]) -> dict[int, Holding]:
    """What each of these processes and its descendants hold. Blocking, milliseconds."""
    return {pid: _sum(processes) for pid, processes in trees(pids).items()}


def _sum(processes: Iterable[psutil.Process]) -> Holding:
    pids, resident, private = set(), 0, 0
    for process in processes:
        try:
            memory = process.memory_info()
        except psutil.Error:
            continue  # It ended while it was looked at.
        pids.add(process.pid)
        resident += memory.rss
        private += memory.rss - memory.shared
    return Holding(pids=frozenset(pids), resident_bytes=resident, private_bytes=private)


def claims(instances: Iterable[Instance], machine: Machine) -> tuple[Claim, ...]:
    """What the instances were granted, beside what they hold at the time of ``machine``.

    Blocking, milliseconds. An instance whose process has not started yet holds nothing, and one
    that is asleep has no right to what it gave back.
    """
    found: list[Claim] = []
    children = _children()
    for instance in instances:
        if instance.placement is None:
            continue
        holds = None if instance.pid is None else _sum(_tree(instance.pid, children))
        found.extend(
            Claim(
                device=one.device,
                granted_bytes=_granted(one, instance),
                used_bytes=_used(one.device, one.total_bytes, instance, holds, machine),
                service_id=instance.service_id,
            )
            for one in instance.placement.memory
        )
    return tuple(found)


def measured(
    instance: Instance, holds: Holding, machine: Machine, report: MemoryReport | None
) -> tuple[MeasuredMemory, ...]:
    """Predicted beside measured, for each device of the placement that could be measured.

    Args:
        instance: ready, with a placement.
        holds: what its processes hold of the RAM.
        machine: a snapshot made since it is ready.
        report: what the engine says of itself.
    """
    if instance.placement is None:
        return ()
    devices = instance.placement.memory
    reported = report.total_bytes if report is not None and len(devices) == 1 else None
    twice = 0 if report is None else report.twice_bytes
    return tuple(
        MeasuredMemory(
            device=one.device,
            predicted_bytes=one.total_bytes,
            measured_bytes=found,
            reported_bytes=reported,
            private_bytes=holds.private_bytes if one.device == CPU else None,
        )
        for one in devices
        if (found := _measure(one.device, holds, twice, machine)) is not None
    )


def _measure(device: str, holds: Holding, twice_bytes: int, machine: Machine) -> int | None:
    if device == CPU:
        return max(holds.private_bytes, holds.resident_bytes - twice_bytes)
    return on_gpu(device, holds.pids, machine)


def _granted(memory: DeviceMemory, instance: Instance) -> int:
    gave_back = instance.state is InstanceState.ASLEEP and memory.device != CPU
    return 0 if gave_back else memory.total_bytes


def _used(
    device: str, granted_bytes: int, instance: Instance, holds: Holding | None, machine: Machine
) -> int:
    if holds is None:
        return 0
    if device == CPU:
        return holds.private_bytes
    found = on_gpu(device, holds.pids, machine)
    if found is not None:
        return found
    # The driver hides processes from a container: what is ready holds what it was granted.
    return granted_bytes if instance.state is InstanceState.READY else 0


def on_gpu(uuid: str, pids: frozenset[int], machine: Machine) -> int | None:
    """What the processes hold of a GPU; None: the driver does not tell."""
    found: list[int] = [
        one.used_bytes
        for gpu in machine.gpus
        if gpu.uuid == uuid
        for one in gpu.processes
        if one.pid in pids and one.used_bytes is not None
    ]
    return sum(found) if found else None


class WorkDone(Frozen, frozen=True, kw_only=True):
    """What processes have done so far, by the kernel's account."""

    cpu_seconds: float
    read_bytes: int
    """From disks, the pages of mapped files included."""


def work_done(processes: Iterable[psutil.Process]) -> WorkDone:
    """What these have done together; who is gone counts no more. Blocking."""
    seconds, read_bytes = 0.0, 0
    for process in processes:
        with suppress(psutil.Error):
            cpu = process.cpu_times()
            seconds += cpu.user + cpu.system
            read_bytes += process.io_counters().read_bytes
    return WorkDone(cpu_seconds=seconds, read_bytes=read_bytes)


def tree(pid: int) -> Sequence[psutil.Process]:
    """A process and its descendants; none, if it is gone."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def trees(pids: Iterable[int]) -> dict[int, list[psutil.Process]]:
    """Each of these processes with its descendants, all found in one pass."""
    children = _children()
    return {pid: _tree(pid, children) for pid in pids}


def _children() -> dict[int, list[psutil.Process]]:
    """Every process of the machine, by its parent: one pass, however many trees are asked for."""
    found: dict[int, list[psutil.Process]] = defaultdict(list)
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            found[process.ppid()].append(process)
    return found


def _tree(pid: int, children: dict[int, list[psutil.Process]]) -> list[psutil.Process]:
    """As ``tree``, taken out of ``children``: a pid that was used again makes no circle."""
    try:
        found = [psutil.Process(pid)]
    except psutil.Error:
        return []
    for process in found:
        found += children.pop(process.pid, ())
    return found
