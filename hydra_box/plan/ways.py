"""How a service's instances run: taken from a service, given back to one, compared."""

from __future__ import annotations

import msgspec

from hydra_box.types import Service, Way


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


def _what_runs(way: Way) -> tuple[object, ...]:
    return way.engine, way.model_path, way.context_length, way.slots, way.on_cpu
