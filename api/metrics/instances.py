"""Every instance: how busy it is, and what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from api.metrics.labels import instance_labels
from api.prometheus import Family, Kind, columns
from hydra_box.messages import ServiceView


def instance_families(views: Sequence[ServiceView]) -> Iterator[Family]:
    """What the box knows of it; ``engines.py`` has what its engine says."""
    rows = [(one, instance_labels(view, one)) for view in views for one in view.instances]
    yield from columns(
        Kind.GAUGE,
        "hydra_box_instance_",
        rows,
        (
            ("requests_in_flight", "Requests being answered.", lambda one: one.requests_in_flight),
            ("slots", "Requests that it can answer at once.", lambda one: one.slots),
            ("restarts", "How often its process was started again.", lambda one: one.restarts),
            ("uptime_seconds", "Since its process was ready.", lambda one: one.uptime_seconds),
        ),
    )
    yield from columns(
        Kind.GAUGE,
        "hydra_box_instance_memory_",
        (
            (memory, {**labels, "device": memory.device})
            for one, labels in rows
            for memory in one.memory
        ),
        (
            (
                "predicted_bytes",
                "What the plan granted it on a device.",
                lambda one: one.predicted_bytes,
            ),
            ("measured_bytes", "What it really took of a device.", lambda one: one.measured_bytes),
        ),
    )
