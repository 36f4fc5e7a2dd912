"""Remote endpoints that back services."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from api.prometheus import Family, Kind, Labels, columns
from hydra_box.messages import ServiceView, UpstreamView


def upstream_families(views: Sequence[ServiceView]) -> Iterator[Family]:
    """Whether each is healthy, and what it has to do."""
    return columns(
        Kind.GAUGE,
        "hydra_box_upstream_",
        ((one, _labels(view, one)) for view in views for one in view.upstreams),
        (
            ("healthy", "1: it is given requests.", lambda one: int(one.healthy)),
            ("requests_in_flight", "Requests it answers.", lambda one: one.requests_in_flight),
            ("most_requests", "Requests it is given at once.", lambda one: one.most_requests),
        ),
    )


def _labels(view: ServiceView, upstream: UpstreamView) -> Labels:
    return {"service": view.name, "upstream_id": upstream.id, "base_url": upstream.base_url}
