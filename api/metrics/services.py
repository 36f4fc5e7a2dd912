"""Every service: what is wanted of it, and how it is now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from api.metrics.labels import service_labels
from api.prometheus import Family, Kind, Sample, columns, gauge
from hydra_box.messages import ServiceView
from hydra_box.types import InstanceState


def service_families(views: Sequence[ServiceView]) -> Iterator[Family]:
    """Requests under way, the queue, and instances by state."""
    rows = [(view, service_labels(view)) for view in views]
    yield from columns(
        Kind.COUNTER,
        "hydra_box_service_",
        rows,
        (("requests_total", "Requests since the daemon started.", lambda one: one.stats.requests),),
    )
    yield from columns(
        Kind.GAUGE,
        "hydra_box_service_",
        rows,
        (
            (
                "requests_in_flight",
                "Requests being answered.",
                lambda one: one.stats.requests_in_flight,
            ),
            (
                "requests_queued",
                "Requests waiting for a slot.",
                lambda one: one.stats.requests_queued,
            ),
            (
                "last_ttft_seconds",
                "TTFT of the last request.",
                lambda one: one.stats.last_ttft_seconds,
            ),
            (
                "desired_instances",
                "Instances that should be there.",
                lambda one: one.desired_instances,
            ),
            ("ready_instances", "Instances that take requests.", lambda one: one.ready_instances),
            ("asleep", "1: nobody called it for its idle timeout.", lambda one: int(one.asleep)),
            (
                "rollout",
                "1: its instances are being replaced, one after another.",
                lambda one: int(one.rollout is not None),
            ),
        ),
    )
    states = (
        Sample(
            sum(instance.state is state for instance in view.instances),
            {**labels, "state": state.value},
        )
        for view, labels in rows
        for state in InstanceState
    )
    yield gauge("hydra_box_service_instances", "Instances by state.", *states)
    statuses = (Sample(1, {**labels, "status": view.status.value}) for view, labels in rows)
    yield gauge("hydra_box_service_status", "What each service is doing.", *statuses)
