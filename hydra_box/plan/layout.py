"""One instance set up for where it may stand, and whether as many as are asked for fit there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from hydra_box.plan.availability import available_bytes
from hydra_box.plan.correction import correction_id
from hydra_box.plan.device_groups import Ground, Needs, assign, capacity
from hydra_box.plan.memory import estimate
from hydra_box.types import (
    CPU,
    Accelerator,
    Ask,
    Claim,
    DeviceMemory,
    EngineName,
    EngineOptions,
    Frozen,
    Gpu,
    Machine,
    Offer,
)

ROOM_FOR_ANOTHER_BYTES = 6 << 30
"""What another model, a small one, would need to be worth leaving room for."""


class Site(Frozen, frozen=True, kw_only=True):
    """The machine as one question to ``place`` sees it."""

    gpus: tuple[Gpu, ...]
    available: dict[str, int]
    """Device to bytes that this plan may take."""
    ram_total_bytes: int
    occupants: dict[str, int]
    """Device to instances of ours that are on it."""
    physical_cores: int
    corrections: Mapping[str, float]
    instances: int
    """How many are asked for."""
    running: int
    """How many of the same service are there already."""

    @property
    def threads(self) -> int:
        """CPU threads of one instance: the cores, shared."""
        return max(1, self.physical_cores // (self.instances + self.running))


class Layout(Frozen, frozen=True, kw_only=True):
    """One instance, set up and measured, before its devices are chosen."""

    engine: EngineName
    offer: Offer
    ground: Ground
    options: EngineOptions
    memory: tuple[DeviceMemory, ...]
    """On the ground's sample of devices."""
    correction_factor: float

    @property
    def needs(self) -> Needs:
        """What it takes, by position."""
        sizes = {one.device: one.total_bytes for one in self.memory}
        gpus = () if not self.ground.width else self.ground.sample
        return Needs(gpus=tuple(sizes[one] for one in gpus), cpu=sizes.get(CPU, 0))


def site_of(
    machine: Machine,
    claims: Sequence[Claim],
    corrections: Mapping[str, float],
    ask: Ask,
) -> Site:
    """The machine with what runs on it."""
    return Site(
        gpus=machine.gpus,
        available=available_bytes(machine, claims),
        ram_total_bytes=machine.ram_total_bytes,
        occupants=Counter(claim.device for claim in claims),
        physical_cores=machine.physical_cores,
        corrections=corrections,
        instances=ask.instances,
        running=ask.running,
    )


def lay_out(
    site: Site, offer: Offer, engine: EngineName, ground: Ground, options: EngineOptions
) -> Layout:
    """Estimate one instance on a ground."""
    name = correction_id(engine, offer.facts.architecture, ground.accelerator)
    factor = site.corrections.get(name, 1.0)
    return Layout(
        engine=engine,
        offer=offer,
        ground=ground,
        options=options,
        memory=estimate(
            offer.facts, engine, ground.accelerator, ground.sample, options, correction=factor
        ),
        correction_factor=factor,
    )


def changed(site: Site, layout: Layout, **changes: object) -> Layout:
    """The same instance with other options."""
    options = msgspec.structs.replace(layout.options, **changes)
    return lay_out(site, layout.offer, layout.engine, layout.ground, options)


def most_room(site: Site, ground: Ground) -> int:
    """The most bytes that one instance could have on a ground."""
    if not ground.width:
        return site.available[CPU]
    return max(
        sum(sorted((site.available[one.uuid] for one in pool), reverse=True)[: ground.width])
        for pool in ground.pools
    )


def fits(site: Site, layout: Layout, limits: Mapping[str, int] | None = None) -> bool:
    """As many instances as are asked for fit at once."""
    return how_many_fit(site, layout, limits) >= site.instances


def how_many_fit(site: Site, layout: Layout, limits: Mapping[str, int] | None = None) -> int:
    """How many instances fit at once, at most 64."""
    available = site.available if limits is None else limits
    return max(0, capacity(layout.ground, layout.needs, available))


def devices_of(site: Site, layout: Layout) -> tuple[tuple[str, ...], ...]:
    """The devices of each instance of a layout that fits."""
    return assign(layout.ground, layout.needs, site.available, site.occupants, site.instances)


def room_to_grow(site: Site, layout: Layout) -> dict[str, int]:
    """Bytes of each device that what was not asked for may use.

    On a GPU half of the room that the plan leaves at least, so that another model finds room
    beside it; all of that room where it is too little for another. The CPU's memory is
    everybody's, so that a plan never grows beyond half of it.
    """
    if layout.ground.accelerator is Accelerator.CPU:
        half = site.ram_total_bytes // 2
        return {**site.available, CPU: min(site.available[CPU], half)}
    load: Counter[str] = Counter()
    for group in devices_of(site, layout):
        for device, need in zip(group, layout.needs.gpus, strict=True):
            load[device] += need
    limits = dict(site.available)
    for gpu in site.gpus:
        # A GPU that is not taken is no way around the limit of one that is.
        rest = limits[gpu.uuid] - load.get(gpu.uuid, layout.needs.rank)
        if rest > ROOM_FOR_ANOTHER_BYTES:
            limits[gpu.uuid] -= rest // 2
    return limits
