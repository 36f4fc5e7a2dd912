"""The machine: its GPUs, its CPU, its memory."""

from __future__ import annotations

from enum import StrEnum

from hydra_box.types.base import Frozen

CPU = "cpu"
"""The CPU's name among the devices; a GPU's is its UUID."""


class GpuCondition(StrEnum):
    """What became of the search for GPUs; never a silent "none"."""

    PRESENT = "present"
    NO_DRIVER = "no-driver"
    NO_DEVICE = "no-device"
    DRIVER_MISMATCH = "driver-mismatch"
    NO_PERMISSION = "no-permission"
    GPU_LOST = "gpu-lost"
    MIG_WITHOUT_INSTANCE = "mig-without-instance"
    ERROR = "error"


class GpuProcess(Frozen, frozen=True, kw_only=True):
    """A process that holds memory of a GPU."""

    pid: int
    used_bytes: int | None
    """None: the driver does not tell (in a container, or under WDDM)."""
    name: str | None = None
    """What the kernel calls it; None: it is in another container, or gone."""


class Gpu(Frozen, frozen=True, kw_only=True):
    """One NVIDIA device, as NVML reports it now; a MIG instance is a device of its own."""

    uuid: str
    """``GPU-...``, or ``MIG-...``."""
    index: int
    """Position among the devices, only to show; a MIG instance has that of its GPU."""
    name: str
    total_bytes: int
    free_bytes: int
    shares_ram: bool = False
    """It has no memory of its own (GB10): total and free are those of the machine's memory."""
    utilization_percent: int | None = None
    temperature_celsius: int | None = None
    slowdown_celsius: int | None = None
    """From here on it protects itself by being slower."""
    power_brake: bool = False
    """Whether the power supply tells it to be slower."""
    power_watts: float | None = None
    power_limit_watts: float | None = None
    compute_capability: tuple[int, int] | None = None
    pci_bus_id: str | None = None
    numa_node: int | None = None
    processes: tuple[GpuProcess, ...] = ()
    nvlink_peers: tuple[str, ...] = ()
    """UUIDs of the GPUs that it has an NVLink to."""
    pcie_peers: tuple[str, ...] = ()
    """UUIDs of the GPUs behind the same PCIe host bridge or nearer."""
    parent_uuid: str | None = None
    """The GPU that a MIG instance is a part of."""
    mig_profile: str | None = None
    """``3g.40gb``."""

    @property
    def used_bytes(self) -> int:
        """What somebody holds, the driver included."""
        return self.total_bytes - self.free_bytes


class GpuLoss(Frozen, frozen=True, kw_only=True):
    """A GPU that the driver lists and that cannot be used."""

    index: int
    condition: GpuCondition
    message: str
    uuid: str | None = None
    """None: it was lost before it was first seen."""


class GpuFault(Frozen, frozen=True, kw_only=True):
    """An error that a GPU's driver has reported: an Xid."""

    uuid: str
    xid: int
    """Its number in NVIDIA's catalogue."""
    message: str
    """What it means, with a hint."""
    of_a_program: bool
    """It is mostly the doing of a program, and the GPU itself goes on."""


class Machine(Frozen, frozen=True, kw_only=True):
    """What this machine has, and what of it is free now."""

    cpu_model: str
    physical_cores: int
    logical_cores: int
    cpu_features: tuple[str, ...] = ()
    """Those of ``/proc/cpuinfo`` that engines care for: ``avx2``, ``avx512f``, ``amx_tile``."""
    cpu_percent: float | None = None
    """Of all cores, since the last sample; None for a single look."""
    numa_nodes: int = 1
    ram_total_bytes: int
    ram_available_bytes: int
    """What can be allocated now, cgroup limits respected."""
    disk_total_bytes: int
    disk_free_bytes: int
    """Of the file system that holds the state directory."""
    gpu_condition: GpuCondition
    gpu_message: str
    """The condition in words, with a hint where there is something to do."""
    gpus: tuple[Gpu, ...] = ()
    lost_gpus: tuple[GpuLoss, ...] = ()
    gpu_faults: tuple[GpuFault, ...] = ()
    """What was reported since the look before this one."""
    driver_version: str | None = None
    cuda_version: str | None = None
