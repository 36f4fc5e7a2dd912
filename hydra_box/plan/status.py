"""The status of a service, worked out from its desired and its actual state."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hydra_box.plan.lifecycle import COUNTS_AS_WANTED
from hydra_box.plan.upstream_health import Health, HealthState
from hydra_box.types import (
    DesiredState,
    Download,
    DownloadState,
    EngineName,
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
    asleep: bool = False,
    upstreams: Collection[Health] = (),
) -> ServiceStatus:
    """One word for what the service is doing.

    ``download`` is the one that it waits for, if its model is not here yet; ``outdated`` are the
    ids of the instances that are to be replaced: they serve, and are on their way out;
    ``upstreams`` are how those are that serve it beside instances, or alone.

    1. DELETING: its owner deleted it; its instances are on their way out.
    2. STOPPED: its owner stopped it.
    3. RUNNING: as many instances are ready as are wanted, and none is on its way out; or it is
       asleep, and the next request wakes it.
    4. FAILED: none is ready, and none will be without help: all that are wanted gave up, or the
       download did.
    5. SCALING: some are ready, but not the number that is wanted; or upstreams alone serve it.
    6. DEPLOYING: none is ready yet.

    Of a service that only upstreams serve: RUNNING while one of them works, DEPLOYING until they
    have been asked, else FAILED.
    """
    if service.desired_state is DesiredState.DELETED:
        return ServiceStatus.DELETING
    if service.desired_state is DesiredState.STOPPED:
        return ServiceStatus.STOPPED
    if service.engine is EngineName.UPSTREAM:
        return _status_of_upstreams(upstreams)
    found = _status_here(service, instances, download, outdated, asleep=asleep)
    serves = found not in (ServiceStatus.FAILED, ServiceStatus.DEPLOYING)
    if serves or not any(one.works for one in upstreams):
        return found
    return ServiceStatus.SCALING


def _status_of_upstreams(upstreams: Collection[Health]) -> ServiceStatus:
    if any(one.works for one in upstreams):
        return ServiceStatus.RUNNING
    if any(one.state is HealthState.UNCHECKED for one in upstreams):
        return ServiceStatus.DEPLOYING
    return ServiceStatus.FAILED


def _status_here(
    service: Service,
    instances: Collection[Instance],
    download: Download | None,
    outdated: Collection[str],
    *,
    asleep: bool,
) -> ServiceStatus:
    """What a service that shall run is doing, whatever its upstreams do."""
    if download is not None and download.state is DownloadState.FAILED:
        return ServiceStatus.FAILED
    if asleep:
        return ServiceStatus.RUNNING
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
