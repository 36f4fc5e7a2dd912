"""What NVML says of one device, and of how GPUs are linked.

A reading that this GPU or driver does not have is None; a GPU that is lost is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pynvml

from hydra_box.hardware.conditions import LOST
from hydra_box.types import Frozen, Gpu, GpuProcess

Handle = Any
"""NVML's pointer to a device, valid while NVML is open."""

_NODE_SET_WORDS = 16
"""Room for 1024 NUMA nodes, the kernel's largest number of them."""


class Card(Frozen, frozen=True, kw_only=True):
    """What of a GPU does not change while NVML is open."""

    uuid: str
    name: str
    compute_capability: tuple[int, int] | None
    pci_bus_id: str | None
    numa_node: int | None
    slowdown_celsius: int | None


def optional(ask: Callable[..., Any], *arguments: Any) -> Any:
    """What NVML answers, or None where it has no answer.

    Raises:
        NVMLError: the GPU is lost.

    """
    try:
        return ask(*arguments)
    except pynvml.NVMLError as error:
        if error.value in LOST:
            raise
        return None


def read_card(handle: Handle) -> Card:
    """The fixed facts of a GPU."""
    capability = optional(pynvml.nvmlDeviceGetCudaComputeCapability, handle)
    pci = optional(pynvml.nvmlDeviceGetPciInfo, handle)
    return Card(
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        name=pynvml.nvmlDeviceGetName(handle),
        compute_capability=None if capability is None else tuple(capability),
        pci_bus_id=None if pci is None else pci.busId,
        numa_node=_numa_node(handle),
        slowdown_celsius=_slowdown(handle),
    )


def read_gpu(handle: Handle, card: Card, index: int, shared_memory: tuple[int, int]) -> Gpu:
    """A whole GPU now.

    Args:
        handle: the device.
        card: its fixed facts.
        index: NVML's number of it.
        shared_memory: total and free bytes of the machine's memory, which is also the GPU's where
            the GPU has none of its own (GB10).

    """
    memory = read_memory(handle)
    total, free = memory or shared_memory
    load = optional(pynvml.nvmlDeviceGetUtilizationRates, handle)
    return Gpu(
        uuid=card.uuid,
        index=index,
        name=card.name,
        total_bytes=total,
        free_bytes=free,
        shares_ram=memory is None,
        utilization_percent=None if load is None else load.gpu,
        temperature_celsius=read_temperature(handle),
        slowdown_celsius=card.slowdown_celsius,
        power_brake=_power_brake(handle),
        power_watts=_watts(pynvml.nvmlDeviceGetPowerUsage, handle),
        power_limit_watts=_watts(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle),
        compute_capability=card.compute_capability,
        pci_bus_id=card.pci_bus_id,
        numa_node=card.numa_node,
        processes=read_processes(handle),
    )


def read_mig_instance(handle: Handle, card: Card, index: int, temperature: int | None) -> Gpu:
    """A MIG instance now; what NVML only knows of the whole GPU is taken from its ``card``."""
    name = pynvml.nvmlDeviceGetName(handle)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        index=index,
        name=card.name,
        total_bytes=memory.total,
        free_bytes=memory.free,
        temperature_celsius=temperature,
        slowdown_celsius=card.slowdown_celsius,
        compute_capability=card.compute_capability,
        pci_bus_id=card.pci_bus_id,
        numa_node=card.numa_node,
        processes=read_processes(handle),
        parent_uuid=card.uuid,
        mig_profile=name.rpartition(" MIG ")[2],
    )


def is_in_mig_mode(handle: Handle) -> bool:
    """Whether the GPU is cut into MIG instances, or waits to be."""
    mode = optional(pynvml.nvmlDeviceGetMigMode, handle)
    return mode is not None and mode[0] == pynvml.NVML_DEVICE_MIG_ENABLE


def mig_handles(handle: Handle) -> Iterator[Handle]:
    """The MIG instances of a GPU; their numbers may have gaps."""
    for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        instance = optional(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, index)
        if instance is not None:
            yield instance


def read_memory(handle: Handle) -> tuple[int, int] | None:
    """Total and free bytes; None: the GPU has no memory of its own."""
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    except pynvml.NVMLError_NotSupported:
        return None
    return (memory.total, memory.free) if memory.total else None


def read_temperature(handle: Handle) -> int | None:
    """Degrees Celsius of the GPU's core."""
    found: int | None = optional(
        pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU
    )
    return found


def read_processes(handle: Handle) -> tuple[GpuProcess, ...]:
    """Who holds memory of the device: each process once, the largest first.

    A process that computes and draws is in two of NVML's lists with the same number of bytes.
    """
    lists = (
        pynvml.nvmlDeviceGetComputeRunningProcesses,
        pynvml.nvmlDeviceGetGraphicsRunningProcesses,
        pynvml.nvmlDeviceGetMPSComputeRunningProcesses,
    )
    held: dict[int, list[int]] = {}
    for ask in lists:
        for one in optional(ask, handle) or ():
            told = held.setdefault(one.pid, [])
            told += [] if one.usedGpuMemory is None else [one.usedGpuMemory]
    found = [
        GpuProcess(pid=pid, used_bytes=max(told, default=None), name=_process_name(pid))
        for pid, told in held.items()
    ]
    return tuple(sorted(found, key=lambda one: (-(one.used_bytes or 0), one.pid)))


class Links(Frozen, frozen=True, kw_only=True):
    """The UUIDs of a GPU's neighbours."""

    nvlink: tuple[str, ...] = ()
    pcie: tuple[str, ...] = ()


def read_links(gpus: Sequence[tuple[str, Handle]]) -> dict[str, Links]:
    """Every GPU's neighbours, by UUID; through switches too."""
    nvlink: dict[str, list[str]] = {uuid: [] for uuid, _ in gpus}
    pcie: dict[str, list[str]] = {uuid: [] for uuid, _ in gpus}
    for (uuid, handle), (peer, other) in permutations(gpus, 2):
        # vLLM asks the same before it uses its own all-reduce between GPUs.
        status = optional(
            pynvml.nvmlDeviceGetP2PStatus, handle, other, pynvml.NVML_P2P_CAPS_INDEX_NVLINK
        )
        if status == pynvml.NVML_P2P_STATUS_OK:
            nvlink[uuid].append(peer)
        ancestor = optional(pynvml.nvmlDeviceGetTopologyCommonAncestor, handle, other)
        if ancestor is not None and ancestor <= pynvml.NVML_TOPOLOGY_HOSTBRIDGE:
            pcie[uuid].append(peer)
    return {uuid: Links(nvlink=tuple(nvlink[uuid]), pcie=tuple(pcie[uuid])) for uuid, _ in gpus}


def _process_name(pid: int) -> str | None:
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None  # It has ended, or its number is that of another container.
    return name.rstrip("\n")


def _watts(ask: Callable[..., Any], handle: Handle) -> float | None:
    milliwatts = optional(ask, handle)
    return None if milliwatts is None else milliwatts / 1000


def _slowdown(handle: Handle) -> int | None:
    found: int | None = optional(
        pynvml.nvmlDeviceGetTemperatureThreshold,
        handle,
        pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN,
    )
    return found


def _power_brake(handle: Handle) -> bool:
    reasons: int | None = optional(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
    return bool((reasons or 0) & pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown)


def _numa_node(handle: Handle) -> int | None:
    scope = pynvml.NVML_AFFINITY_SCOPE_NODE
    words: Iterable[int] | None = optional(
        pynvml.nvmlDeviceGetMemoryAffinity, handle, _NODE_SET_WORDS, scope
    )
    nodes = sum(word << (64 * place) for place, word in enumerate(words or ()))
    return (nodes & -nodes).bit_length() - 1 if nodes else None
