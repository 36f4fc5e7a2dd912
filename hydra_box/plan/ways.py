"""How a service's instances run: taken from a service, given back to one, compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from hydra_box.plan.lifecycle import HAS_PROCESS
from hydra_box.types import Accelerator, EngineName, Instance, Service, Way

Pins = Mapping[tuple[EngineName, Accelerator], str]
"""The id of the runtime that is pinned for an engine on what it computes on, where one is."""


def way_of(service: Service) -> Way:
    """How instances of a service run that are started now."""
    return Way(**{name: getattr(service, name) for name in Way.__struct_fields__})


def with_way(service: Service, way: Way) -> Service:
    """The service, its instances to run in another way."""
    return msgspec.structs.replace(service, **msgspec.structs.asdict(way))


def runs_like(one: Way, other: Way) -> bool:
    """Whether a process of the one serves as one of the other would.

    The files decide, and not what they are called or which download brought them.
    """
    return _what_runs(one) == _what_runs(other)


def outdated(
    service: Service, instances: Iterable[Instance], pins: Pins | None = None
) -> frozenset[str]:
    """The ids of a service's instances that run (or last ran) otherwise than it now wants."""
    wanted = way_of(service)
    return frozenset(
        one.id
        for one in instances
        if (one.way is not None and not runs_like(one.way, wanted)) or on_other_runtime(one, pins)
    )


def on_other_runtime(instance: Instance, pins: Pins | None) -> bool:
    """Whether its process runs on another runtime than the pinned one for the same devices."""
    placement = instance.placement
    if not pins or placement is None or instance.state not in HAS_PROCESS:
        return False
    pinned = pins.get((placement.engine, placement.accelerator))
    return None not in (pinned, instance.runtime_id) and pinned != instance.runtime_id


def _what_runs(way: Way) -> tuple[object, ...]:
    return way.engine, way.model_path, way.context_length, way.slots, way.on_cpu
