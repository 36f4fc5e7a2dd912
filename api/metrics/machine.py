"""The machine: memory, CPU, disk, and every GPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from api.prometheus import Family, Kind, Sample, columns, gauge
from hydra_box.types import Gpu, Machine


def machine_families(machine: Machine) -> Iterator[Family]:
    """What it has, and what of it is free."""
    load = None if machine.cpu_percent is None else machine.cpu_percent / 100
    for name, help, value in (
        ("ram_total_bytes", "Memory, control groups respected.", machine.ram_total_bytes),
        ("ram_available_bytes", "Memory that can be taken now.", machine.ram_available_bytes),
        ("cpu_utilization_ratio", "Of all cores, since the last sample.", load),
        ("cpu_cores", "Physical cores that the box may use.", machine.physical_cores),
        ("disk_total_bytes", "Of the state directory's disk.", machine.disk_total_bytes),
        ("disk_free_bytes", "Of the state directory's disk.", machine.disk_free_bytes),
    ):
        yield gauge(f"hydra_box_{name}", help, Sample(value))
    yield from _gpu_families(machine.gpus)
    lost = (
        Sample(1, {"gpu": str(one.index), "uuid": one.uuid or "", "condition": one.condition.value})
        for one in machine.lost_gpus
    )
    yield gauge("hydra_box_gpu_lost", "GPUs that cannot be used, and why.", *lost)


def _gpu_families(gpus: Sequence[Gpu]) -> Iterator[Family]:
    return columns(
        Kind.GAUGE,
        "hydra_box_gpu_",
        ((gpu, _labels(gpu)) for gpu in gpus),
        (
            (
                "memory_total_bytes",
                "Memory of the GPU or MIG instance.",
                lambda gpu: gpu.total_bytes,
            ),
            ("memory_free_bytes", "Memory that nobody holds.", lambda gpu: gpu.free_bytes),
            ("utilization_ratio", "How much of the time it was computing.", _utilization),
            ("temperature_celsius", "Of its core.", lambda gpu: gpu.temperature_celsius),
            ("power_watts", "What it draws.", lambda gpu: gpu.power_watts),
            ("power_limit_watts", "What it may draw.", lambda gpu: gpu.power_limit_watts),
            ("processes", "Processes that hold its memory.", lambda gpu: len(gpu.processes)),
        ),
    )


def _utilization(gpu: Gpu) -> float | None:
    return None if gpu.utilization_percent is None else gpu.utilization_percent / 100


def _labels(gpu: Gpu) -> dict[str, str]:
    labels = {"gpu": str(gpu.index), "uuid": gpu.uuid, "name": gpu.name}
    return labels if gpu.mig_profile is None else {**labels, "mig_profile": gpu.mig_profile}
