"""Desired against actual: what has to be done next.

Called on every change and on a timer. Each call's actions move the actual state a step towards the
desired one; carried out, they are not asked for again, and at the end of the way there are none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from msgspec.structs import replace

from hydra_box.plan.lifecycle import COUNTS_AS_WANTED, HAS_PROCESS, LONGEST_DELAY_SECONDS
from hydra_box.plan.rollout import Turn, replace_beside, replace_in_place
from hydra_box.plan.sleep import AWAKE, Sleep
from hydra_box.plan.ways import Pins, outdated
from hydra_box.types import DesiredState, Frozen, Instance, InstanceState, MakesRoom, Service

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


class _Known(Frozen, frozen=True, kw_only=True):
    """What is known of instances beside their own state."""

    old: frozenset[str] = frozenset()
    """Ids of the outdated."""
    unhealthy: Collection[str] = ()
    sleep: Sleep = AWAKE

    def worth(self, instance: Instance) -> tuple[int, bool, bool, float]:
        """Sorts what to end first to the front.

        The least useful state, the unhealthy, the outdated, the youngest.
        """
        state = _LEAST_WORTH_KEEPING.index(instance.state)
        healthy = instance.id not in self.unhealthy
        return state, healthy, instance.id not in self.old, -instance.created_at

    def turn(self, instance: Instance) -> tuple[bool, float, str]:
        """Sorts what to replace first to the front: the unhealthy, the oldest."""
        return instance.id not in self.unhealthy, instance.created_at, instance.id


def reconcile(
    services: Iterable[Service],
    instances: Collection[Instance],
    *,
    now: float,
    waiting: Collection[str] = (),
    sleep: Sleep = AWAKE,
    pins: Pins | None = None,
    unhealthy: Collection[str] = (),
) -> list[Action]:
    """What has to be done so that ``instances`` become what ``services`` ask for.

    Instances that run otherwise than their service now wants are replaced: those that do not serve
    at once, the others as ``rollout`` decides.

    Args:
        services: the desired state.
        instances: the actual state.
        now: Unix time.
        waiting: ids of services whose models are not here yet; they get no instance before.
        sleep: who sleeps. Such a service keeps no process but those that sleep in place.
        pins: what runs on another runtime than the pinned one is replaced, too.
        unhealthy: ids of instances that end before others of their state.
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
        old = outdated(service, ours, pins)
        if service.id in sleep.services:
            actions += _rest(service, ours, old, sleep)
            continue
        wanted = _wanted(service, has_model=service.id not in waiting)
        known = _Known(old=old, unhealthy=unhealthy, sleep=sleep)
        actions += _reconcile_service(service, ours, wanted, known, now)
    # Last, because they take a while: nothing else in the list may be overtaken by events.
    return actions + [
        ForgetService(service_id=service.id)
        for service in services
        if service.desired_state is DesiredState.DELETED and not by_service[service.id]
    ]


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
    service: Service, instances: list[Instance], wanted: int, known: _Known, now: float
) -> list[Action]:
    turn = _turn(service, instances, wanted, known)
    in_the_way = [
        one
        for one in instances
        if (one.id in known.old or one.id in known.sleep.ending)
        and one.state in HAS_PROCESS
        and one not in turn.staying
    ]
    stopped = [one for one in instances if one.state is S.STOPPED]
    actions = [action for one in (*stopped, *turn.ending) for action in _end(one)]
    actions += [WakeInstance(instance_id=one.id) for one in turn.staying if one.state is S.ASLEEP]
    actions += [StartInstance(instance_id=one.id) for one in turn.staying if _due(one, now)]
    missing = max(0, wanted - len(turn.staying) - len(in_the_way))
    return actions + [CreateInstance(service_id=service.id)] * (missing + turn.beside)


def _turn(service: Service, instances: list[Instance], wanted: int, known: _Known) -> Turn:
    """Who ends and who stays; for those that serve and are outdated a rollout decides."""
    present = sorted((one for one in instances if one.state in COUNTS_AS_WANTED), key=known.worth)
    useless = [one for one in present if one.id in known.old and one.state is not S.READY]
    serving = [one for one in present if one not in useless]
    old = sorted((one for one in serving if one.id in known.old), key=known.turn)
    leaving = any(one.state in _LEAVING for one in instances)
    if wanted and old and service.makes_room is MakesRoom.NO:
        turn = replace_beside(wanted, serving, old, settled=not (leaving or useless))
        return replace(turn, ending=(*useless, *turn.ending))
    surplus = present[: max(0, len(present) - wanted)]
    kept = [one for one in serving if one not in surplus]
    settled = len(present) == wanted and not (leaving or useless)
    turn = replace_in_place(
        kept,
        [one for one in old if one in kept],
        settled=settled,
        to_the_last=service.makes_room is MakesRoom.TO_THE_LAST,
    )
    ending = [*surplus, *(one for one in useless if one not in surplus), *turn.ending]
    return replace(turn, ending=tuple(ending))


def _due(instance: Instance, now: float) -> bool:
    if instance.state is S.PENDING:
        return True
    if instance.state is not S.BACKOFF:
        return False
    left = 0.0 if instance.retry_at is None else instance.retry_at - now
    # No delay is longer: the clock was set back since it began.
    return left <= 0 or left > LONGEST_DELAY_SECONDS


def _end(instance: Instance) -> list[Action]:
    if instance.state not in HAS_PROCESS:
        return [ForgetInstance(instance_id=instance.id)]
    if instance.state in _LEAVING:
        return []
    if instance.state is S.READY:
        return [DrainInstance(instance_id=instance.id)]
    return [StopInstance(instance_id=instance.id)]
