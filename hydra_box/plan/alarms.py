"""When the machine deserves an alarm, and when that is over.

Never at the same figure, so that an alarm does not come and go about its bound.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from hydra_box.types import Frozen, GpuCondition, Machine, Severity

MIB = 1 << 20

OVER_SHARE = 1.25
"""An alarm of too little room is over with so much more of it."""
SEVERE_SHARE = 8
"""Of the bound, one part in so many: then it is an error."""
COOLER_CELSIUS = 5
"""An alarm of heat is over so many degrees under its bound."""
STALLED_PERCENT, STALLED_OVER_PERCENT = 10.0, 2.0
"""Of a minute, in which everything waited for memory (the kernel's ``full avg60``)."""


class Sign(Frozen, frozen=True, kw_only=True):
    """One alarm that is due."""

    id: str
    message: str
    hint: str | None = None
    severity: Severity = Severity.WARNING
    service_name: str | None = None


class Bounds(Frozen, frozen=True, kw_only=True):
    """Where it begins to be too little, or too much."""

    disk_bytes: int
    ram_bytes: int
    daemon_bytes: int


class Disk(Frozen, frozen=True, kw_only=True):
    """A file system that something of the box lives on."""

    holds: str
    """``the state directory``."""
    path: str
    free_bytes: int


class Conditions(Frozen, frozen=True, kw_only=True):
    """How the machine is at one look, but for its GPUs."""

    ram_available_bytes: int
    disks: tuple[Disk, ...] = ()
    memory_stalled_percent: float | None = None
    """None: the kernel does not tell."""
    daemon_bytes: int = 0


def host_signs(seen: Conditions, bounds: Bounds, raised: Collection[str]) -> list[Sign]:
    """Those of disks and memory that are due now; ``raised`` are the ids of those that were."""
    return [
        *_disk_signs(seen.disks, bounds.disk_bytes, raised),
        *_memory_signs(seen, bounds, raised),
    ]


def gpu_signs(machine: Machine, raised: Collection[str]) -> Iterator[Sign]:
    """GPUs that cannot be used although they should, and those that are too hot or short of power.

    A machine that never had a GPU is in order.
    """
    yield from _lost(machine)
    for gpu in machine.gpus:
        name, heat = f"GPU {gpu.index} ({gpu.name})", f"gpu.heat.{gpu.uuid}"
        bound, now = gpu.slowdown_celsius, gpu.temperature_celsius
        if bound is not None and now is not None:
            limit = bound - COOLER_CELSIUS if heat in raised else bound
            if now >= limit:
                yield Sign(
                    id=heat,
                    message=f"{name} is at {now} °C; it slows down from {bound} °C on",
                    hint="see to its fans and to the air around it",
                )
        if gpu.power_brake:
            yield Sign(
                id=f"gpu.power.{gpu.uuid}",
                message=f"{name} is slowed down because the power supply told it to",
                hint="check the power supply and its cables",
            )


def _lost(machine: Machine) -> Iterator[Sign]:
    told = [(f"gpu.lost.{one.uuid or one.index}", one.message) for one in machine.lost_gpus]
    if not told and machine.gpu_condition is not GpuCondition.PRESENT:
        told = [("gpu.all", machine.gpu_message)]
    for id, message in told:
        fact, _, hint = message.partition("; hint: ")
        if hint:
            yield Sign(id=id, message=fact, hint=hint, severity=Severity.ERROR)


def _disk_signs(disks: Iterable[Disk], bound: int, raised: Collection[str]) -> Iterator[Sign]:
    for disk in disks:
        id = f"machine.disk.{disk.path}"
        if _too_little(disk.free_bytes, bound, id in raised):
            severe = disk.free_bytes < bound // SEVERE_SHARE
            yield Sign(
                id=id,
                message=f"the disk of {disk.holds} is nearly full: {_mib(disk.free_bytes)} are "
                f"free at {disk.path}",
                hint="hydra-box models list shows what can be removed; the setting "
                "disk_alarm_bytes says when this is told",
                severity=Severity.ERROR if severe else Severity.WARNING,
            )


def _memory_signs(seen: Conditions, bounds: Bounds, raised: Collection[str]) -> Iterator[Sign]:
    free, stalled = seen.ram_available_bytes, seen.memory_stalled_percent
    if _too_little(free, bounds.ram_bytes, "machine.ram" in raised):
        yield Sign(
            id="machine.ram",
            message=f"the memory is nearly used up: {_mib(free)} of it can be had",
            hint="hydra-box status shows what the services hold; stop one, or give it less context",
            severity=Severity.ERROR,
        )
    limit = STALLED_OVER_PERCENT if "machine.stalled" in raised else STALLED_PERCENT
    if stalled is not None and stalled >= limit:
        yield Sign(
            id="machine.stalled",
            message=f"the machine swaps: for {stalled:.0f} % of the last minute nothing went on "
            "for want of memory",
            hint="stop a service, or give it less context",
        )
    own, most = seen.daemon_bytes, bounds.daemon_bytes
    if own >= (most * 4 // 5 if "machine.daemon" in raised else most):
        yield Sign(
            id="machine.daemon",
            message=f"the daemon itself holds {_mib(own)}",
            hint="hydra-box restart gives it back without stopping an engine",
        )


def _too_little(free: int, bound: int, was_raised: bool) -> bool:
    return free < (bound * OVER_SHARE if was_raised else bound)


def _mib(count: int) -> str:
    return f"{count // MIB:,} MiB"
