"""What becomes of the instances that an earlier daemon left: who goes on, and who does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from hydra_box.plan.lifecycle import HAS_PROCESS
from hydra_box.plan.sleep import may_sleep
from hydra_box.types import DesiredState, Frozen, Instance, InstanceState, Service

S = InstanceState


class Found(Frozen, frozen=True, kw_only=True):
    """A process that leads a session, and says by its environment that it is this box's."""

    pid: int
    created_at: float
    """Seconds from the machine's boot, as ``Instance.process_created_at``."""
    instance_id: str


class Over(Frozen, frozen=True, kw_only=True):
    """An instance that does not go on."""

    instance: Instance
    why: str | None
    """None: its process has ended, and only its log may tell."""

    @property
    def is_news(self) -> bool:
        """Whether something has ended that was there for all that was known."""
        return self.instance.state in HAS_PROCESS


class Estate(Frozen, frozen=True, kw_only=True):
    """All that was left, divided."""

    adopted: tuple[Instance, ...]
    """Those that go on, as they are from now on. A READY one is STARTING until it has answered."""
    over: tuple[Over, ...]
    """The others."""

    @property
    def asleep(self) -> frozenset[str]:
        """The ids of the services that sleep on."""
        return frozenset(one.service_id for one in self.adopted if one.state is S.ASLEEP)

    @property
    def awake(self) -> frozenset[str]:
        """The ids of the services of which something serves, or was about to."""
        return frozenset(one.service_id for one in self.adopted) - self.asleep


def divide(
    services: Iterable[Service], instances: Iterable[Instance], found: Iterable[Found]
) -> Estate:
    """Who of the recorded instances goes on.

    1. Over: nobody wants its service to run any more.
    2. Over: it was on its way out, or had no process.
    3. Over: it sleeps, and its service may not sleep any more: it would wait for good.
    4. Over: its process is gone. Another one of its id is none of which is known what it runs.
    5. It goes on: asleep if it slept, else STARTING until it has answered.

    How a service wants its instances to run by now is no question here: those that run otherwise
    are replaced as after any edit.

    Args:
        services: the desired state.
        instances: the rows that were left.
        found: the processes that there are.
    """
    wanted = {one.id: one for one in services if one.desired_state is DesiredState.RUNNING}
    there = {(one.instance_id, one.pid, one.created_at) for one in found}
    adopted, over = [], []
    for instance in instances:
        why = _why_over(instance, wanted)
        if why is not None:
            over.append(Over(instance=instance, why=why))
        elif (instance.id, instance.pid, instance.process_created_at) not in there:
            over.append(Over(instance=instance, why=None))
        elif instance.state is S.READY:
            adopted.append(msgspec.structs.replace(instance, state=S.STARTING))
        else:
            adopted.append(instance)
    return Estate(adopted=tuple(adopted), over=tuple(over))


def _why_over(instance: Instance, wanted: Mapping[str, Service]) -> str | None:
    """Why an instance does not go on, whatever has become of its process."""
    service = wanted.get(instance.service_id)
    if service is None:
        return "its service is not to run"
    if instance.state not in (S.STARTING, S.READY, S.ASLEEP):
        return f"it was {instance.state}"
    if None in (instance.pid, instance.process_created_at, instance.placement, instance.way):
        return "it had no process yet"
    if instance.state is S.ASLEEP and not may_sleep(service):
        return "its service does not sleep any more"
    return None
