"""The status of a service, worked out from its desired and its actual state."""

from __future__ import annotations

from collections.abc import Collection

from hydra_box.plan.lifecycle import COUNTS_AS_WANTED
from hydra_box.types import DesiredState, Instance, InstanceState, Service, ServiceStatus

S = InstanceState


def service_status(service: Service, instances: Collection[Instance]) -> ServiceStatus:
    """One word for what the service is doing.

    1. DELETING: its owner deleted it; its instances are on their way out.
    2. STOPPED: its owner stopped it.
    3. RUNNING: as many instances are ready as are wanted, and none is on its way out.
    4. FAILED: none is ready, and none will be without help: all that are wanted gave up.
    5. SCALING: some are ready, but not the number that is wanted.
    6. DEPLOYING: none is ready yet.
    """
    if service.desired_state is DesiredState.DELETED:
        return ServiceStatus.DELETING
    if service.desired_state is DesiredState.STOPPED:
        return ServiceStatus.STOPPED
    states = [instance.state for instance in instances]
    ready = states.count(S.READY)
    leaving = states.count(S.DRAINING) + states.count(S.STOPPING)
    if ready == service.desired_instances and not leaving:
        return ServiceStatus.RUNNING
    if ready:
        return ServiceStatus.SCALING
    present = [state for state in states if state in COUNTS_AS_WANTED]
    if len(present) >= service.desired_instances and set(present) == {S.FAILED}:
        return ServiceStatus.FAILED
    return ServiceStatus.DEPLOYING


def service_reason(instances: Collection[Instance]) -> str | None:
    """The newest reason among the instances that are not serving."""
    troubled = [one for one in instances if one.state in (S.FAILED, S.BACKOFF) and one.reason]
    return max(troubled, key=lambda one: one.created_at).reason if troubled else None
