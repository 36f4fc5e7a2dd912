"""Desired against actual: what has to be done next.

Called on every change and on a timer. Each call's actions move the actual state a step towards the
desired one; carried out, they are not asked for again, and at the end of the way there are none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hydra_box.plan.lifecycle import COUNTS_AS_WANTED, HAS_PROCESS
from hydra_box.types import DesiredState, Frozen, Instance, InstanceState, Service

S = InstanceState


class CreateInstance(Frozen, frozen=True, kw_only=True):
    """Add an instance to the service, in PENDING."""

    service_id: str


class StartInstance(Frozen, frozen=True, kw_only=True):
    """Start the instance's process: it is PENDING, or its BACKOFF is over."""

    instance_id: str


class DrainInstance(Frozen, frozen=True, kw_only=True):
    """Give the instance no more requests, and stop it when it has none."""

    instance_id: str


class StopInstance(Frozen, frozen=True, kw_only=True):
    """End the instance's process now."""

    instance_id: str


class ForgetInstance(Frozen, frozen=True, kw_only=True):
    """Remove an instance that has no process."""

    instance_id: str


class ForgetService(Frozen, frozen=True, kw_only=True):
    """Remove a deleted service whose last instance is gone."""

    service_id: str


Action = (
    CreateInstance | StartInstance | DrainInstance | StopInstance | ForgetInstance | ForgetService
)

_LEAST_WORTH_KEEPING = (S.FAILED, S.BACKOFF, S.PENDING, S.STARTING, S.READY)


def reconcile(
    services: Iterable[Service],
    instances: Collection[Instance],
    *,
    now: float,
    waiting: Collection[str] = (),
) -> list[Action]:
    """What has to be done so that ``instances`` become what ``services`` ask for.

    Args:
        services: the desired state.
        instances: the actual state.
        now: Unix time.
        waiting: ids of services whose models are not here yet; they get no instance before.
    """
    services = list(services)
    by_service: dict[str, list[Instance]] = {service.id: [] for service in services}
    actions: list[Action] = []
    for instance in instances:
        if instance.service_id in by_service:
            by_service[instance.service_id].append(instance)
        else:
            actions += _end(instance)
    for service in services:
        present = by_service[service.id]
        actions += _reconcile_service(service, present, now, has_model=service.id not in waiting)
    # Last, because they take a while: nothing else in the list may be overtaken by events.
    return actions + [
        ForgetService(service_id=service.id)
        for service in services
        if service.desired_state is DesiredState.DELETED and not by_service[service.id]
    ]


def _reconcile_service(
    service: Service, instances: list[Instance], now: float, *, has_model: bool
) -> list[Action]:
    running = service.desired_state is DesiredState.RUNNING and has_model
    wanted = service.desired_instances if running else 0
    present = sorted((one for one in instances if one.state in COUNTS_AS_WANTED), key=_worth)
    surplus = max(0, len(present) - wanted)
    leaving = [one for one in instances if one.state is S.STOPPED] + present[:surplus]
    actions = [action for one in leaving for action in _end(one)]
    actions += [StartInstance(instance_id=one.id) for one in present[surplus:] if _due(one, now)]
    actions += [CreateInstance(service_id=service.id)] * max(0, wanted - len(present))
    return actions


def _worth(instance: Instance) -> tuple[int, float]:
    """Sorts what to end first to the front: the least useful state, then the youngest."""
    return _LEAST_WORTH_KEEPING.index(instance.state), -instance.created_at


def _due(instance: Instance, now: float) -> bool:
    if instance.state is S.PENDING:
        return True
    return instance.state is S.BACKOFF and (instance.retry_at is None or now >= instance.retry_at)


def _end(instance: Instance) -> list[Action]:
    if instance.state not in HAS_PROCESS:
        return [ForgetInstance(instance_id=instance.id)]
    if instance.state in (S.DRAINING, S.STOPPING):
        return []
    if instance.state is S.READY:
        return [DrainInstance(instance_id=instance.id)]
    return [StopInstance(instance_id=instance.id)]
