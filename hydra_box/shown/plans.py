"""The sentences of a plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from hydra_box.messages import PlanView
from hydra_box.shown.numbers import count
from hydra_box.types import CPU, DeviceMemory, FactsSource, Placement

FACTS: Final = {
    FactsSource.FILE: "read from the model's files",
    FactsSource.HUB: "read from the hub, before any download",
    FactsSource.CATALOG: "computed from the shape in the catalog; the hub was not asked",
}
"""Where the facts of a model come from."""


def extent(plan: PlanView) -> str:
    """``1 instance of 4 slots x 8,192 tokens; up to 3 would fit``."""
    slots = count(plan.slots or 0, "slot")
    context = f"{plan.context_length or 0:,} tokens"
    more = plan.most_instances > plan.instances
    most = f"up to {plan.most_instances} would fit" if more else "no more would fit"
    return f"{count(plan.instances, 'instance')} of {slots} x {context}; {most}"


def where(plan: PlanView, names: Mapping[str, str]) -> str:
    """The devices of the instances: ``GPU 0 (RTX 4090)``, or ``1 each on GPU 0, GPU 1``.

    ``names`` has a device's name by its UUID, or ``cpu``.
    """
    groups = Counter(_devices_of(one, names) for one in plan.placements)
    if len(groups) == 1:
        return next(iter(groups))
    by_number: dict[int, list[str]] = {}
    for place, number in groups.items():
        by_number.setdefault(number, []).append(place.partition(" (")[0])
    return "; ".join(f"{number} each on {', '.join(on)}" for number, on in by_number.items())


def memory_parts(
    plan: PlanView, names: Mapping[str, str]
) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    """Of the first instance: a device, and the bytes of weights, KV cache, compute and overhead.

    Devices that take the same are told together: ``4 devices, each``.
    """
    groups: dict[tuple[int, int, int, int], list[str]] = {}
    for one in plan.placements[0].memory:
        groups.setdefault(_parts(one), []).append(names.get(one.device, one.device))
    for parts, members in groups.items():
        yield members[0] if len(members) == 1 else f"{len(members)} devices, each", parts


def learned(plan: PlanView) -> str:
    """What measuring has taught the estimate; empty: nothing."""
    if (correction := plan.correction) is None:
        return ""
    times = count(correction.samples, "time")
    return (
        f"estimates for {correction.id} are multiplied by {correction.factor:.2f}, measured {times}"
    )


def _devices_of(one: Placement, names: Mapping[str, str]) -> str:
    used = [names.get(device, device) for device in one.devices]
    place = used[0] if len(used) == 1 else f"{len(used)} GPUs"
    if one.options.tensor_parallel > 1:
        return f"{place}, tensor parallel"
    if one.devices != (CPU,) and _computes_on_cpu(one):
        return f"{place}, {one.options.gpu_layers} layers, the others on the CPU"
    return place


def _computes_on_cpu(one: Placement) -> bool:
    """Whether layers are left on the CPU: these keep their cache there."""
    return any(each.device == CPU and each.kv_cache_bytes for each in one.memory)


def _parts(memory: DeviceMemory) -> tuple[int, int, int, int]:
    return (
        memory.weights_bytes,
        memory.kv_cache_bytes,
        memory.compute_bytes,
        memory.overhead_bytes,
    )
