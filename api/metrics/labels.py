"""What services and instances are told apart by."""

from __future__ import annotations

from api.prometheus import Labels
from hydra_box.messages import InstanceView, ServiceView


def service_labels(view: ServiceView) -> Labels:
    """Of what is said of a service."""
    return {"service": view.name, "access_name": view.access_name, "engine": view.engine.value}


def instance_labels(view: ServiceView, instance: InstanceView) -> Labels:
    """Of what is said of an instance."""
    # Not "instance": that label is Prometheus' own, for whom it asks.
    return {"service": view.name, "instance_id": instance.id, "device": instance.device}
