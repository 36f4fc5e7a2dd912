"""The status of a service, worked out from its desired and its actual state."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hydra_box.plan.lifecycle import COUNTS_AS_WANTED
from hydra_box.types import (
    DesiredState,
    Download,
    DownloadState,
    Instance,
    InstanceState,
    Service,
    ServiceStatus,
)

S = InstanceState

_RESUME = "hint: hydra-box models resume"


def service_status(
    service: Service,
    instances: Collection[Instance],
    download: Download | None = None,
    *,
    outdated: Collection[str] = (),
) -> ServiceStatus:
    """One word for what the service is doing.

    ``download`` is the one that it waits for, if its model is not here yet; ``outdated`` are the
    ids of the instances that are to be replaced: they serve, and are on their way out.

    1. DELETING: its owner deleted it; its instances are on their way out.
    2. STOPPED: its owner stopped it.
    3. RUNNING: as many instances are ready as are wanted, and none is on its way out.
    4. FAILED: none is ready, and none will be without help: all that are wanted gave up, or the
       download did.
    5. SCALING: some are ready, but not the number that is wanted.
    6. DEPLOYING: none is ready yet.
    """
    if service.desired_state is DesiredState.DELETED:
        return ServiceStatus.DELETING
    if service.desired_state is DesiredState.STOPPED:
        return ServiceStatus.STOPPED
    if download is not None and download.state is DownloadState.FAILED:
        return ServiceStatus.FAILED
    current = [one.state for one in instances if one.id not in outdated]
    old = [one.state for one in instances if one.id in outdated and one.state is not S.STOPPED]
    return _status_of(service.desired_instances, current, old)


def _status_of(
    wanted: int, states: Sequence[InstanceState], old: Sequence[InstanceState]
) -> ServiceStatus:
    """What a service that shall run is doing (cases 3 to 6)."""
    ready = states.count(S.READY) + old.count(S.READY)
    leaving = old or S.DRAINING in states or S.STOPPING in states
    if ready == wanted and not leaving:
        return ServiceStatus.RUNNING
    if ready:
        return ServiceStatus.SCALING
    present = [state for state in states if state in COUNTS_AS_WANTED]
    if len(present) >= wanted and set(present) == {S.FAILED}:
        return ServiceStatus.FAILED
    return ServiceStatus.DEPLOYING


def service_reason(instances: Collection[Instance], download: Download | None = None) -> str | None:
    """What is wrong with its download, or the newest reason of instances that are not serving."""
    if download is not None and download.state in (DownloadState.FAILED, DownloadState.PAUSED):
        return download.reason or f"its download is {download.state}; {_RESUME} {download.id}"
    troubled = [one for one in instances if one.state in (S.FAILED, S.BACKOFF) and one.reason]
    return max(troubled, key=lambda one: one.created_at).reason if troubled else None
