"""When an instance holds more memory than it was granted, and when that is too much."""

from __future__ import annotations

from hydra_box.types import CPU, Frozen, Machine

MIB = 1 << 20
LEAST_GROWTH_BYTES = 512 * MIB
"""What an allocator keeps, however small the model is."""
GPU_RESERVE_BYTES = 128 * MIB
"""A GPU with less than this free has no room for what its other processes need for a moment."""


class Held(Frozen, frozen=True, kw_only=True):
    """What an instance holds of one device."""

    device: str
    granted_bytes: int
    at_ready_bytes: int
    """Measured when it was ready."""
    now_bytes: int

    @property
    def budget_bytes(self) -> int:
        """What it is expected to hold."""
        return max(self.granted_bytes, self.at_ready_bytes)


def outgrown(held: Held, percent: int, *, was: bool) -> bool:
    """Whether it holds more than its budget, and ``percent`` or 512 MiB beyond it.

    ``was``: whether it did at the last look; it does until half of the excess is gone.
    """
    excess = max(held.budget_bytes * percent // 100, LEAST_GROWTH_BYTES)
    return held.now_bytes > held.budget_bytes + (excess // 2 if was else excess)


def threatens(device: str, machine: Machine, ram_reserve_bytes: int) -> bool:
    """Whether a device has so little left that an instance which outgrew its budget must go."""
    if device == CPU:
        return machine.ram_available_bytes < ram_reserve_bytes
    free = next((one.free_bytes for one in machine.gpus if one.uuid == device), None)
    return free is not None and free < GPU_RESERVE_BYTES


def describe(held: Held) -> str:
    """In words: what it holds, and what it was expected to hold."""
    where = "memory" if held.device == CPU else f"the memory of {held.device}"
    return (
        f"holds {held.now_bytes // MIB:,} MiB of {where}, "
        f"and its budget is {held.budget_bytes // MIB:,} MiB"
    )
