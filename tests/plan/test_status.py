"""One word for what a service is doing, and the reason when it is in trouble."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.plan.status import service_reason, service_status
from hydra_box.plan.upstream_health import Health, HealthState
from hydra_box.types import (
    DesiredState,
    DownloadState,
    EngineName,
    Instance,
    InstanceState,
    ServiceStatus,
)
from tests.samples import a_download, a_service, an_instance

D, S, W = DesiredState, InstanceState, ServiceStatus


def _instances(states: tuple[InstanceState, ...]) -> list[Instance]:
    return [an_instance(f"i-{number}", state=state) for number, state in enumerate(states)]


@pytest.mark.parametrize(
    ("desired", "states", "status"),
    [
        # Nothing is ready yet.
        (1, (), W.DEPLOYING),
        (1, (S.PENDING,), W.DEPLOYING),
        (1, (S.STARTING,), W.DEPLOYING),
        (1, (S.BACKOFF,), W.DEPLOYING),
        (2, (S.FAILED, S.STARTING), W.DEPLOYING),
        (2, (S.FAILED,), W.DEPLOYING),
        # What is wanted is ready.
        (1, (S.READY,), W.RUNNING),
        (3, (S.READY, S.READY, S.READY), W.RUNNING),
        (1, (S.READY, S.STOPPED), W.RUNNING),
        # More or fewer than wanted are ready, or some are leaving.
        (2, (S.READY, S.STARTING), W.SCALING),
        (2, (S.READY, S.BACKOFF), W.SCALING),
        (2, (S.READY, S.FAILED), W.SCALING),
        (1, (S.READY, S.READY), W.SCALING),
        (1, (S.READY, S.DRAINING), W.SCALING),
        (1, (S.READY, S.STOPPING), W.SCALING),
        # Nothing will be ready without help; those that leave cannot help.
        (1, (S.FAILED,), W.FAILED),
        (2, (S.FAILED, S.FAILED), W.FAILED),
        (1, (S.FAILED, S.DRAINING), W.FAILED),
        (1, (S.FAILED, S.STOPPED), W.FAILED),
        (1, (S.FAILED, S.FAILED), W.FAILED),
    ],
)
def test_of_a_service_that_should_run(
    desired: int, states: tuple[InstanceState, ...], status: ServiceStatus
) -> None:
    service = a_service(desired_instances=desired)
    assert service_status(service, _instances(states)) is status


@pytest.mark.parametrize(
    ("desired", "states", "status"),
    [
        # The first is to be replaced: it serves, and is on its way out.
        (1, (S.READY,), W.SCALING),
        (2, (S.READY, S.READY), W.SCALING),
        (2, (S.FAILED, S.READY), W.SCALING),
        (1, (S.STARTING,), W.DEPLOYING),
        (1, (S.FAILED,), W.DEPLOYING),
        (1, (S.STOPPED, S.READY), W.RUNNING),
        (1, (S.STOPPED, S.FAILED), W.FAILED),
    ],
)
def test_while_an_outdated_instance_is_there(
    desired: int, states: tuple[InstanceState, ...], status: ServiceStatus
) -> None:
    service = a_service(desired_instances=desired)
    assert service_status(service, _instances(states), outdated={"i-0"}) is status


@given(states=st.lists(st.sampled_from(S), max_size=5))
def test_what_the_owner_ended_is_told_whatever_the_instances_do(
    states: list[InstanceState],
) -> None:
    instances = _instances(tuple(states))
    stopped = a_service(desired_state=D.STOPPED)
    assert service_status(stopped, instances) is W.STOPPED
    deleted = a_service(desired_state=D.DELETED)
    assert service_status(deleted, instances) is W.DELETING


@given(states=st.lists(st.sampled_from(S), max_size=6), desired=st.integers(1, 5))
def test_running_and_failed_mean_what_they_say(states: list[InstanceState], desired: int) -> None:
    status = service_status(a_service(desired_instances=desired), _instances(tuple(states)))
    if status is W.RUNNING:
        assert states.count(S.READY) == desired
    if status is W.FAILED:
        assert S.READY not in states
        assert S.STARTING not in states
    if S.READY not in states:
        assert status in (W.DEPLOYING, W.FAILED)


@pytest.mark.parametrize(
    ("state", "status", "reason"),
    [
        (DownloadState.QUEUED, W.DEPLOYING, None),
        (DownloadState.DOWNLOADING, W.DEPLOYING, None),
        (DownloadState.PAUSED, W.DEPLOYING, "its download is paused; hint: hydra-box models "),
        (DownloadState.FAILED, W.FAILED, "the network is down"),
    ],
)
def test_of_a_service_whose_model_is_not_here(
    state: DownloadState, status: ServiceStatus, reason: str | None
) -> None:
    why = "the network is down" if state is DownloadState.FAILED else None
    download = a_download(state=state, reason=why)
    assert service_status(a_service(), [], download) is status
    found = service_reason([], download)
    assert found == reason or (reason and found and found.startswith(reason))
    stopped = a_service(desired_state=D.STOPPED)
    assert service_status(stopped, [], download) is W.STOPPED


@pytest.mark.parametrize(
    ("instances", "reason"),
    [
        ([], None),
        ([an_instance(state=S.STARTING, reason="of an earlier death")], None),
        ([an_instance(state=S.FAILED, reason=None)], None),
        ([an_instance(state=S.FAILED, reason="no memory")], "no memory"),
        ([an_instance(state=S.BACKOFF, reason="signal 9")], "signal 9"),
        (
            [
                an_instance("a", state=S.FAILED, reason="old", created_at=1.0),
                an_instance("b", state=S.BACKOFF, reason="new", created_at=2.0),
                an_instance("c", state=S.READY, reason="healed", created_at=3.0),
            ],
            "new",
        ),
    ],
)
def test_reasons(instances: list[Instance], reason: str | None) -> None:
    assert service_reason(instances) == reason


UP, DOWN = Health(state=HealthState.HEALTHY), Health(state=HealthState.UNHEALTHY)
RESTING, UNCHECKED = Health(state=HealthState.RESTING), Health()


@pytest.mark.parametrize(
    ("upstreams", "status"),
    [
        ([], W.FAILED),
        ([DOWN], W.FAILED),
        ([UNCHECKED], W.DEPLOYING),
        ([DOWN, UNCHECKED], W.DEPLOYING),
        ([DOWN, UP], W.RUNNING),
        ([RESTING], W.RUNNING),
    ],
)
def test_of_a_service_that_only_upstreams_serve(
    upstreams: list[Health], status: ServiceStatus
) -> None:
    service = a_service(engine=EngineName.UPSTREAM, desired_instances=0)
    assert service_status(service, [], upstreams=upstreams) is status
    stopped = a_service(engine=EngineName.UPSTREAM, desired_state=D.STOPPED)
    assert service_status(stopped, [], upstreams=upstreams) is W.STOPPED


@pytest.mark.parametrize(
    ("states", "with_upstream", "without"),
    [
        ((S.READY,), W.RUNNING, W.RUNNING),
        ((S.READY, S.DRAINING), W.SCALING, W.SCALING),
        ((S.STARTING,), W.SCALING, W.DEPLOYING),
        ((S.FAILED,), W.SCALING, W.FAILED),
    ],
)
def test_of_a_service_that_upstreams_serve_beside_instances(
    states: tuple[InstanceState, ...], with_upstream: ServiceStatus, without: ServiceStatus
) -> None:
    instances = _instances(states)
    assert service_status(a_service(), instances, upstreams=[DOWN, UP]) is with_upstream
    assert service_status(a_service(), instances, upstreams=[DOWN, UNCHECKED]) is without
