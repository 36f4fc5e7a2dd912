"""What becomes of the instances that an earlier daemon left, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from hydra_box.plan.adoption import Found, divide
from hydra_box.plan.ways import way_of
from hydra_box.types import (
    Accelerator,
    DesiredState,
    EngineName,
    EngineOptions,
    Instance,
    InstanceState,
    Placement,
    Service,
)
from tests.samples import a_service, an_instance

S = InstanceState

PLACEMENT = Placement(
    engine=EngineName.LLAMA_CPP,
    accelerator=Accelerator.CPU,
    devices=("cpu",),
    options=EngineOptions(context_length=2048, slots=4, batch_tokens=2048),
    memory=(),
)
FOUND = Found(pid=5, created_at=7.5, instance_id="qwen2-00000001")
SLEEPER = a_service(idle_timeout_seconds=60.0)


def left(state: InstanceState, **changes: object) -> Instance:
    """An instance as it stands in the store of a daemon that was killed."""
    values: dict[str, Any] = {
        "state": state,
        "device": "cpu",
        "pid": 5,
        "process_created_at": 7.5,
        "placement": PLACEMENT,
        "way": way_of(a_service()),
        "restarts": 3,
    }
    return an_instance(**values | changes)


@pytest.mark.parametrize(
    ("service", "before", "after"),
    [
        (a_service(), left(S.READY, ready_at=9.0), S.STARTING),
        (a_service(), left(S.STARTING), S.STARTING),
        (SLEEPER, left(S.ASLEEP), S.ASLEEP),
        # That it should run otherwise by now is for a rollout to see to.
        (a_service(context_length=4096), left(S.READY), S.STARTING),
    ],
)
def test_who_lives_goes_on(service: Service, before: Instance, after: InstanceState) -> None:
    estate = divide([service], [before], [FOUND])
    (one,) = estate.adopted
    assert one.state is after
    assert (one.pid, one.restarts, one.ready_at) == (5, 3, before.ready_at)
    assert one.placement == PLACEMENT
    assert estate.over == ()


@pytest.mark.parametrize(
    ("service", "instance", "why"),
    [
        (None, left(S.READY), "its service is not to run"),
        (a_service(desired_state=DesiredState.STOPPED), left(S.READY), "its service is not to run"),
        (a_service(desired_state=DesiredState.DELETED), left(S.READY), "its service is not to run"),
        (a_service(), left(S.DRAINING), "it was draining"),
        (a_service(), left(S.STOPPING), "it was stopping"),
        (a_service(), left(S.BACKOFF, pid=None), "it was backoff"),
        (a_service(), left(S.FAILED, pid=None), "it was failed"),
        (a_service(), left(S.STARTING, pid=None), "it had no process yet"),
        (a_service(), left(S.READY, placement=None), "it had no process yet"),
        (a_service(), left(S.READY, way=None), "it had no process yet"),
        (a_service(), left(S.ASLEEP), "its service does not sleep any more"),
        (a_service(), left(S.READY, pid=6), None),
        (a_service(), left(S.READY, process_created_at=7.49), None),
        (a_service(), left(S.READY, id="qwen2-00000002"), None),
    ],
)
def test_the_others_are_over(service: Service | None, instance: Instance, why: str | None) -> None:
    services = [] if service is None else [service]
    estate = divide(services, [instance], [FOUND])
    assert estate.adopted == ()
    (over,) = estate.over
    assert (over.instance, over.why) == (instance, why)
    assert over.is_news == (instance.state not in (S.BACKOFF, S.FAILED))


def test_a_service_sleeps_on_if_its_instances_do() -> None:
    awake = a_service("other")
    its = left(S.READY, id="other-00000002", service_id=awake.id, pid=6, process_created_at=8.0)
    found = [FOUND, Found(pid=6, created_at=8.0, instance_id="other-00000002")]
    estate = divide([SLEEPER, awake], [left(S.ASLEEP), its], found)
    assert estate.asleep == {SLEEPER.id}
    assert estate.awake == {awake.id}
