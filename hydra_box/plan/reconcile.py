"""Desired against actual: what has to be done next.

Called on every change and on a timer. Each call's actions move the actual state a step towards the
desired one; carried out, they are not asked for again, and at the end of the way there are none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hydra_box.plan.lifecycle import COUNTS_AS_WANTED, HAS_PROCESS, waits_for_room
from hydra_box.plan.sleep import AWAKE, Sleep
from hydra_box.plan.ways import runs_like, way_of
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


class SleepInstance(Frozen, frozen=True, kw_only=True):
    """Give the instance no more requests, and have its engine give its GPUs back."""

    instance_id: str


class WakeInstance(Frozen, frozen=True, kw_only=True):
    """Have the instance's engine take its GPUs again, and serve."""

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
    CreateInstance
    | StartInstance
    | DrainInstance
    | SleepInstance
    | WakeInstance
    | StopInstance
    | ForgetInstance
    | ForgetService
)

_LEAST_WORTH_KEEPING = (S.FAILED, S.BACKOFF, S.PENDING, S.ASLEEP, S.STARTING, S.READY)
_LEAVING = (S.DRAINING, S.STOPPING)


def reconcile(
    services: Iterable[Service],
    instances: Collection[Instance],
    *,
    now: float,
    waiting: Collection[str] = (),
    sleep: Sleep = AWAKE,
) -> list[Action]:
    """What has to be done so that ``instances`` become what ``services`` ask for.

    Instances that run otherwise than their service now wants are replaced. Those that do not serve
    go at once. Of those that do, one at a time drains, and only while the others serve; its
    successor comes when it is gone, because it may need the same memory.

    Args:
        services: the desired state.
        instances: the actual state.
        now: Unix time.
        waiting: ids of services whose models are not here yet; they get no instance before.
        sleep: who sleeps. Such a service keeps no process but those that sleep in place.
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
        ours = by_service[service.id]
        old = outdated(service, ours)
        if service.id in sleep.services:
            actions += _rest(service, ours, old, sleep)
            continue
        wanted = _wanted(service, has_model=service.id not in waiting)
        actions += _reconcile_service(service, ours, wanted, old, now, sleep)
    # Last, because they take a while: nothing else in the list may be overtaken by events.
    return actions + [
        ForgetService(service_id=service.id)
        for service in services
        if service.desired_state is DesiredState.DELETED and not by_service[service.id]
    ]


def outdated(service: Service, instances: Iterable[Instance]) -> frozenset[str]:
    """The ids of a service's instances that run (or last ran) otherwise than it now wants."""
    wanted = way_of(service)
    return frozenset(
        one.id for one in instances if one.way is not None and not runs_like(one.way, wanted)
    )


def _wanted(service: Service, *, has_model: bool) -> int:
    running = service.desired_state is DesiredState.RUNNING and has_model
    return service.desired_instances if running else 0


def _rest(
    service: Service, instances: list[Instance], old: Collection[str], sleep: Sleep
) -> list[Action]:
    """End what a sleeping service has, but for the processes that it can wake up as they are."""
    lasting = [one for one in instances if one.id in sleep.in_place and one.id not in old]
    asleep = [one for one in lasting if one.state is S.ASLEEP]
    ready = [one for one in lasting if one.state is S.READY]
    staying = (asleep + ready)[: service.desired_instances]
    ending = [action for one in instances if one not in staying for action in _end(one)]
    return ending + [SleepInstance(instance_id=one.id) for one in staying if one in ready]


def _reconcile_service(
    service: Service,
    instances: list[Instance],
    wanted: int,
    old: Collection[str],
    now: float,
    sleep: Sleep,
) -> list[Action]:
    present = sorted(
        (one for one in instances if one.state in COUNTS_AS_WANTED),
        key=lambda one: _worth(one, old),
    )
    surplus = max(0, len(present) - wanted)
    kept = present[surplus:]
    settled = len(present) == wanted and not any(one.state in _LEAVING for one in instances)
    replaced = _to_replace(kept, old, settled=settled)
    leaving = [one for one in instances if one.state is S.STOPPED] + present[:surplus] + replaced
    staying = [one for one in kept if one not in replaced]
    in_the_way = [
        one
        for one in instances
        if (one.id in old or one.id in sleep.ending)
        and one.state in HAS_PROCESS
        and one not in staying
    ]
    actions = [action for one in leaving for action in _end(one)]
    actions += [WakeInstance(instance_id=one.id) for one in staying if one.state is S.ASLEEP]
    actions += [StartInstance(instance_id=one.id) for one in staying if _due(one, now)]
    missing = wanted - len(staying) - len(in_the_way)
    return actions + [CreateInstance(service_id=service.id)] * max(0, missing)


def _to_replace(kept: list[Instance], old: Collection[str], *, settled: bool) -> list[Instance]:
    """The outdated instances to end now: all that do not serve, else the oldest that does.

    That one waits until everything else is ``settled`` and serves, so that a new way of running
    that does not work takes down one instance and no more.
    """
    ours = [one for one in kept if one.id in old]
    idle = [one for one in ours if one.state is not S.READY]
    others = [one for one in kept if one.id not in old]
    if idle or not ours or not settled:
        return idle
    if not all(one.state is S.READY or waits_for_room(one) for one in others):
        return []
    return [min(ours, key=lambda one: (one.created_at, one.id))]


def _worth(instance: Instance, old: Collection[str]) -> tuple[int, bool, float]:
    """Sorts what to end first to the front: the least useful state, the outdated, the youngest."""
    state = _LEAST_WORTH_KEEPING.index(instance.state)
    return state, instance.id not in old, -instance.created_at


def _due(instance: Instance, now: float) -> bool:
    if instance.state is S.PENDING:
        return True
    return instance.state is S.BACKOFF and (instance.retry_at is None or now >= instance.retry_at)


def _end(instance: Instance) -> list[Action]:
    if instance.state not in HAS_PROCESS:
        return [ForgetInstance(instance_id=instance.id)]
    if instance.state in _LEAVING:
        return []
    if instance.state is S.READY:
        return [DrainInstance(instance_id=instance.id)]
    return [StopInstance(instance_id=instance.id)]
