"""Named machines for the pure code: what NVML and psutil say of machines that people have."""

from __future__ import annotations

from collections.abc import Sequence

from hydra_box.types import Gpu, GpuCondition, GpuProcess, Machine

GIB = 1 << 30
MIB = 1 << 20
PID_BEYOND_ALL = 5_000_000
"""Of no process here: the largest number that Linux gives is 4,194,304."""


def _uuid(index: int) -> str:
    return f"GPU-{index:08x}-0000-4000-8000-000000000000"


def gpu(
    name: str,
    total_mib: int,
    capability: tuple[int, int],
    *,
    index: int = 0,
    held_mib: int = 0,
    reserved_mib: int = 512,
    nvlink: Sequence[int] = (),
    pcie: Sequence[int] = (),
) -> Gpu:
    """A GPU: ``held_mib`` by a process of others, ``reserved_mib`` by the driver."""
    holders = (
        (GpuProcess(pid=PID_BEYOND_ALL + index, used_bytes=held_mib * MIB),) if held_mib else ()
    )
    return Gpu(
        uuid=_uuid(index),
        index=index,
        name=name,
        total_bytes=total_mib * MIB,
        free_bytes=(total_mib - reserved_mib - held_mib) * MIB,
        utilization_percent=0,
        temperature_celsius=40,
        power_watts=30.0,
        power_limit_watts=300.0,
        compute_capability=capability,
        processes=holders,
        nvlink_peers=tuple(_uuid(one) for one in nvlink),
        pcie_peers=tuple(_uuid(one) for one in pcie),
    )


def machine(*gpus: Gpu, ram_gib: int, free_ram_gib: float, cores: int = 8) -> Machine:
    """A machine with these GPUs; without one, it has no driver either."""
    present = bool(gpus)
    return Machine(
        cpu_model="a CPU",
        physical_cores=cores,
        logical_cores=2 * cores,
        cpu_features=("avx2", "fma", "f16c"),
        ram_total_bytes=ram_gib * GIB,
        ram_available_bytes=int(free_ram_gib * GIB),
        disk_total_bytes=2000 * GIB,
        disk_free_bytes=1500 * GIB,
        gpu_condition=GpuCondition.PRESENT if present else GpuCondition.NO_DRIVER,
        gpu_message=f"{len(gpus)} GPUs" if present else "no NVIDIA driver",
        gpus=gpus,
        driver_version="580.95.05" if present else None,
        cuda_version="13.0" if present else None,
    )


def cpu_only() -> Machine:
    """A small workstation without a GPU, 16 GiB of memory."""
    return machine(ram_gib=16, free_ram_gib=13.5, cores=6)


def one_gtx_1660() -> Machine:
    """An old gaming PC: 6 GB without bfloat16, 16 GiB of memory."""
    card = gpu("NVIDIA GeForce GTX 1660", 6144, (7, 5), reserved_mib=256)
    return machine(card, ram_gib=16, free_ram_gib=12, cores=6)


def one_rtx_3060() -> Machine:
    """A usual first LLM machine: 12 GB, 32 GiB of memory."""
    card = gpu("NVIDIA GeForce RTX 3060", 12288, (8, 6), reserved_mib=320)
    return machine(card, ram_gib=32, free_ram_gib=27)


def one_rtx_4090() -> Machine:
    """An enthusiast's machine: 24 GB, 64 GiB of memory."""
    card = gpu("NVIDIA GeForce RTX 4090", 24564, (8, 9), reserved_mib=430)
    return machine(card, ram_gib=64, free_ram_gib=57, cores=16)


def two_rtx_3090_one_half_occupied() -> Machine:
    """Two 24 GB GPUs with an NVLink bridge; somebody else holds half of the second."""
    first = gpu("NVIDIA GeForce RTX 3090", 24576, (8, 6), nvlink=(1,), pcie=(1,))
    second = gpu(
        "NVIDIA GeForce RTX 3090", 24576, (8, 6), index=1, held_mib=12288, nvlink=(0,), pcie=(0,)
    )
    return machine(first, second, ram_gib=64, free_ram_gib=55, cores=16)


def one_l40s() -> Machine:
    """A server with one 48 GB GPU, 256 GiB of memory."""
    card = gpu("NVIDIA L40S", 46068, (8, 9), reserved_mib=600)
    return machine(card, ram_gib=256, free_ram_gib=240, cores=32)


def one_h200() -> Machine:
    """A server with one 141 GB GPU, 256 GiB of memory."""
    card = gpu("NVIDIA H200", 143771, (9, 0), reserved_mib=700)
    return machine(card, ram_gib=256, free_ram_gib=240, cores=32)


def eight_h200() -> Machine:
    """An HGX board: eight 141 GB GPUs, every one linked to every other, 2 TiB of memory."""
    cards = [
        gpu(
            "NVIDIA H200",
            143771,
            (9, 0),
            index=index,
            reserved_mib=700,
            nvlink=[one for one in range(8) if one != index],
        )
        for index in range(8)
    ]
    return machine(*cards, ram_gib=2048, free_ram_gib=1980, cores=96)


NAMED = {
    "CPU only, 16 GiB": cpu_only,
    "GTX 1660, 6 GB": one_gtx_1660,
    "RTX 3060, 12 GB": one_rtx_3060,
    "RTX 4090, 24 GB": one_rtx_4090,
    "2 x RTX 3090, one half occupied": two_rtx_3090_one_half_occupied,
    "L40S, 48 GB": one_l40s,
    "H200, 141 GB": one_h200,
    "8 x H200": eight_h200,
}
"""The eight machines of the plan table, by the name that the table shows."""
