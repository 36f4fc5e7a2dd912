"""How many bytes of each device a new instance may be granted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from hydra_box.types import CPU, Claim, Machine

MIB = 1 << 20

SMALLEST_GPU_RESERVE_BYTES = 256 * MIB
GPU_RESERVE_SHARE = 50
"""One part in so many: for fragments, a desktop's windows and what an estimate does not know."""

RAM_RESERVE_SHARE = 16
LARGEST_RAM_RESERVE_BYTES = 8192 * MIB

CPU_SHARE_OF_SHARED = 8
LARGEST_CPU_PART_BYTES = 8192 * MIB
"""Of a memory that GPU and CPU share, what instances may take as RAM: one part in so many."""


def available_bytes(machine: Machine, claims: Sequence[Claim]) -> dict[str, int]:
    """Device to bytes: what is free now, less what ours were granted and have not taken yet.

    ``free + used by ours - max(granted, used) - reserve``, never below 0. What others hold is not
    free, so that it is respected. The reserve is 2 % of a GPU (at least 256 MiB) and a sixteenth
    of the RAM (at most 8 GiB). A memory that GPU and CPU share (GB10) is divided between them,
    most of it to the GPU.

    Args:
        machine: what is there now.
        claims: of every instance of ours. On the CPU ``used_bytes`` must not count pages of
            mapped files: the kernel counts those as available, so that they would count twice.
    """
    used: dict[str, int] = defaultdict(int)
    held: dict[str, int] = defaultdict(int)
    for claim in claims:
        used[claim.device] += claim.used_bytes
        held[claim.device] += max(claim.granted_bytes, claim.used_bytes)

    def left(device: str, free: int, total: int, reserve: int) -> int:
        # The second bound holds where a process's figures and the machine's were read apart.
        unclaimed = min(free + used[device], total) - held[device]
        return max(0, unclaimed - reserve)

    found = {
        gpu.uuid: left(gpu.uuid, gpu.free_bytes, gpu.total_bytes, gpu_reserve(gpu.total_bytes))
        for gpu in machine.gpus
    }
    total = machine.ram_total_bytes
    found[CPU] = left(CPU, machine.ram_available_bytes, total, ram_reserve(total))
    shared = [gpu.uuid for gpu in machine.gpus if gpu.shares_ram]
    if not shared:
        return found
    # One memory, and one pool: what ours were granted of it as a GPU's counts as well.
    ours = sum(used[uuid] - held[uuid] for uuid in shared)
    pool = left(CPU, machine.ram_available_bytes + ours, total, ram_reserve(total))
    for_cpu = min(pool // CPU_SHARE_OF_SHARED, LARGEST_CPU_PART_BYTES)
    for_each = (pool - for_cpu) // len(shared)
    return found | dict.fromkeys(shared, for_each) | {CPU: for_cpu}


def without_service(
    machine: Machine, claims: Sequence[Claim], service_id: str
) -> tuple[Machine, tuple[Claim, ...]]:
    """The machine as it would be without a service's instances, and the claims of the others."""
    gone = [claim for claim in claims if claim.service_id == service_id]
    return as_if_free(machine, gone), tuple(one for one in claims if one.service_id != service_id)


def as_if_free(machine: Machine, gone: Iterable[Claim]) -> Machine:
    """The machine as it would be if what these claims tell of were free."""
    used = Counter[str]()
    for claim in gone:
        used[claim.device] += claim.used_bytes
    of_ram = used[CPU] + sum(used[gpu.uuid] for gpu in machine.gpus if gpu.shares_ram)
    return replace(
        machine,
        ram_available_bytes=min(machine.ram_total_bytes, machine.ram_available_bytes + of_ram),
        gpus=tuple(
            replace(gpu, free_bytes=min(gpu.total_bytes, gpu.free_bytes + used[gpu.uuid]))
            for gpu in machine.gpus
        ),
    )


def gpu_reserve(total_bytes: int) -> int:
    """Bytes of a GPU that no plan touches."""
    return max(SMALLEST_GPU_RESERVE_BYTES, total_bytes // GPU_RESERVE_SHARE)


def ram_reserve(total_bytes: int) -> int:
    """Bytes of the RAM that no plan touches."""
    return min(total_bytes // RAM_RESERVE_SHARE, LARGEST_RAM_RESERVE_BYTES)
