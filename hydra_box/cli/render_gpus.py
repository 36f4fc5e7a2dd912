"""The machine as ``gpus`` shows it, 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from hydra_box.cli.output import gib, harmless, style, table
from hydra_box.types import Gpu, GpuCondition, Machine

_LONGEST_NAME: Final = 24


def machine(found: Machine) -> str:
    """Everything: the GPUs, what is wrong, each one's details, and the rest of the machine."""
    details = "\n".join(details_of(gpu, found.gpus) for gpu in found.gpus)
    versions = f"driver {found.driver_version or '?'}, CUDA {found.cuda_version or '?'}"
    features = f"      {' '.join(found.cpu_features)}" if found.cpu_features else ""
    return _paragraphs(
        gpus(found.gpus),
        trouble(found),
        details,
        versions if found.gpus else "",
        "\n".join(line for line in (_cpu(found), features, _ram(found), _disk(found)) if line),
    )


def live(found: Machine) -> str:
    """What changes: the GPUs, who holds their memory, what is wrong, CPU and RAM."""
    holders = (f"{title(gpu)}  {line}" for gpu in found.gpus for line in _holders(gpu))
    rest = f"{_cpu(found)}\n{_ram(found)}"
    return _paragraphs(gpus(found.gpus), "\n".join(holders), trouble(found), rest)


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def gpus(found: Sequence[Gpu]) -> str:
    """One line a GPU or MIG instance."""
    if not found:
        return ""
    headers = ("GPU", "NAME", "FREE", "TOTAL", "BUSY", "TEMP", "POWER")
    rows = [
        (
            str(gpu.index),
            _name(gpu),
            gib(gpu.free_bytes),
            gib(gpu.total_bytes),
            _reading(gpu.utilization_percent, "%"),
            _reading(gpu.temperature_celsius, "°C"),
            _power(gpu),
        )
        for gpu in found
    ]
    return table(headers, rows, right=(0, 2, 3, 4, 5, 6))


def details_of(gpu: Gpu, every: Sequence[Gpu]) -> str:
    """What the table has no room for."""
    return "\n".join((style(f"{title(gpu)}  {gpu.uuid}", bold=True), *_details(gpu, every)))


def _details(gpu: Gpu, every: Sequence[Gpu]) -> Iterator[str]:
    facts = []
    if gpu.compute_capability is not None:
        facts.append("compute capability {}.{}".format(*gpu.compute_capability))
    if gpu.pci_bus_id is not None:
        facts.append(f"PCI {gpu.pci_bus_id}")
    if gpu.numa_node is not None:
        facts.append(f"NUMA node {gpu.numa_node}")
    if facts:
        yield f"  {', '.join(facts)}"
    if gpu.parent_uuid is not None:
        yield f"  MIG instance {gpu.mig_profile} of {gpu.parent_uuid}"
    if gpu.shares_ram:
        yield "  has no memory of its own: it shares the machine's"
    numbers = {one.uuid: one.index for one in every}
    for words, peers in (
        ("NVLink to", gpu.nvlink_peers),
        ("same PCIe host bridge as", gpu.pcie_peers),
    ):
        # A peer may have been lost since the links were read.
        if near := [numbers[one] for one in peers if one in numbers]:
            yield f"  {words} GPU {ranges(near)}"
    yield from (f"  {line}" for line in _holders(gpu))


def _holders(gpu: Gpu) -> Iterator[str]:
    for one in gpu.processes:
        held = "memory" if one.used_bytes is None else gib(one.used_bytes)
        yield f"{held} held by {harmless(one.name or 'a process')} (pid {one.pid})"


def trouble(found: Machine) -> str:
    """What is wrong with the GPUs; empty when nothing is."""
    if found.gpu_condition is GpuCondition.PRESENT:
        return ""
    told: list[tuple[GpuCondition, str]] = [(found.gpu_condition, found.gpu_message)]
    if len(found.lost_gpus) > 1:
        told = [(one.condition, one.message) for one in found.lost_gpus]
    lines = []
    for condition, message in told:
        fact, _, hint = message.partition("; hint: ")
        lines.append(f"{style(f'GPU: {condition.value}', fg='yellow')}: {fact}")
        lines += [f"hint: {hint}"] if hint else []
    return "\n".join(lines)


def _cpu(found: Machine) -> str:
    cores = f"{found.physical_cores} cores, {found.logical_cores} threads"
    if found.numa_nodes > 1:
        cores += f", {found.numa_nodes} NUMA nodes"
    if found.cpu_percent is not None:
        cores += f", {found.cpu_percent:.0f} % busy"
    return f"CPU   {found.cpu_model}, {cores}"


def _ram(found: Machine) -> str:
    return f"RAM   {gib(found.ram_available_bytes)} available of {gib(found.ram_total_bytes)}"


def _disk(found: Machine) -> str:
    return f"disk  {gib(found.disk_free_bytes)} free of {gib(found.disk_total_bytes)}"


def title(gpu: Gpu) -> str:
    """``GPU 0``, or ``GPU 0 MIG 3g.40gb``."""
    return f"GPU {gpu.index} MIG {gpu.mig_profile}" if gpu.parent_uuid else f"GPU {gpu.index}"


def ranges(numbers: Sequence[int]) -> str:
    """``0-2, 5``."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ", ".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in found)


def _name(gpu: Gpu) -> str:
    name = gpu.name.removeprefix("NVIDIA ")
    if gpu.mig_profile is not None:
        name = f"{name} {gpu.mig_profile}"
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."


def _reading(value: int | None, unit: str) -> str:
    return "-" if value is None else f"{value} {unit}"


def _power(gpu: Gpu) -> str:
    if gpu.power_watts is None:
        return "-"
    if gpu.power_limit_watts is None:
        return f"{gpu.power_watts:.0f} W"
    return f"{gpu.power_watts:.0f}/{gpu.power_limit_watts:.0f} W"
