"""Waiting: until it runs, until it has failed, until it is gone; and asking before deleting."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hydra_box.cli import waiting
from hydra_box.errors import InvalidRequest, NotFound
from hydra_box.messages import ServiceView
from hydra_box.types import InstanceState, ServiceStatus
from tests.cli.conftest import Cli
from tests.cli.fake_box import FakeBox, a_service_view, an_instance_view

GET = "GET /api/v1/services/a"
DEPLOY = "POST /api/v1/services"
GONE = NotFound("there is no service 'a'")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.0)


def deploying(**changes: Any) -> ServiceView:
    values: dict[str, Any] = {
        "status": ServiceStatus.DEPLOYING,
        "ready_instances": 0,
        "instances": (an_instance_view(state=InstanceState.STARTING),),
    }
    return a_service_view(**values | changes)


def test_deploy_waits_and_tells_how_it_goes(ask: Cli, fake: FakeBox) -> None:
    fake.says(DEPLOY, deploying())
    fake.says(GET, deploying(), deploying(progress="loading the weights"), a_service_view())
    shown = ask("deploy", "demo", "--wait")
    assert shown.status == 0
    assert re.sub(r" \(\d+ s\)$", "", shown.err, flags=re.MULTILINE).splitlines() == [
        "deploying demo",
        "a DEPLOYING: 0 of 1 ready",
        "a DEPLOYING: 0 of 1 ready, loading the weights",
        "a is RUNNING: 1 of 1 ready",
    ]
    assert "RUNNING" in shown.out


def test_deploy_json_prints_the_service_as_it_became(ask: Cli, fake: FakeBox) -> None:
    fake.says(DEPLOY, deploying())
    fake.says(GET, deploying(), a_service_view())
    assert ask("deploy", "demo", "--wait", "--json").json["status"] == "RUNNING"


def test_a_service_that_failed_ends_with_7_and_the_reason(ask: Cli, fake: FakeBox) -> None:
    reason = "needs 41.2 GiB; 22.1 GiB are free; hint: 16,384 tokens of context would fit"
    fake.says(DEPLOY, deploying())
    fake.says(GET, deploying(), deploying(status=ServiceStatus.FAILED, reason=reason))
    failed = ask("deploy", "demo", "--wait", "--json")
    assert failed.status == 7
    assert "FAILED, 0 of 1 ready: needs 41.2 GiB; 22.1 GiB are free\n" in failed.err
    assert "hint: 16,384 tokens of context would fit; hydra-box logs a shows" in failed.err
    assert failed.json["error"]["code"] == "engine_error"


def test_a_service_with_one_instance_that_gave_up_is_not_waited_for_forever(
    ask: Cli, fake: FakeBox
) -> None:
    instances = (
        an_instance_view(),
        an_instance_view("a-2", state=InstanceState.FAILED, reason="no memory"),
    )
    view = a_service_view(status=ServiceStatus.SCALING, desired_instances=2, instances=instances)
    fake.says("POST /api/v1/services/a/scale", view)
    fake.says(GET, view)
    failed = ask("scale", "a", "--instances", "2", "--wait")
    assert failed.status == 7
    assert "FAILED, 1 of 2 ready: no memory" in failed.err


def test_scale_waits_while_an_instance_tries_again(ask: Cli, fake: FakeBox) -> None:
    backoff = an_instance_view("a-2", state=InstanceState.BACKOFF, reason="it crashed")
    scaling = a_service_view(
        status=ServiceStatus.SCALING,
        desired_instances=2,
        instances=(an_instance_view(), backoff),
        reason="it crashed",
    )
    fake.says("POST /api/v1/services/a/scale", scaling)
    fake.says(GET, scaling, a_service_view(desired_instances=2, ready_instances=2))
    shown = ask("scale", "a", "--add", "1", "--wait")
    assert shown.status == 0
    assert "a SCALING: 1 of 2 ready, it crashed" in shown.err


@pytest.mark.parametrize(
    ("then", "fact"),
    [
        (a_service_view(status=ServiceStatus.STOPPED), "was stopped while"),
        (a_service_view(status=ServiceStatus.DELETING), "was deleted while"),
        (a_service_view(id="svc-other"), "was deleted while"),
        (GONE, "was deleted while"),
    ],
)
def test_what_others_do_meanwhile_ends_the_wait(
    ask: Cli, fake: FakeBox, then: object, fact: str
) -> None:
    fake.says("POST /api/v1/services/a/start", deploying())
    fake.says(GET, then)
    ended = ask("start", "a", "--wait")
    assert ended.status == 5
    assert fact in ended.err


def test_stop_waits_until_the_engines_are_gone(ask: Cli, fake: FakeBox) -> None:
    draining = an_instance_view(state=InstanceState.DRAINING, requests_in_flight=2)
    stopping = a_service_view(status=ServiceStatus.STOPPED, instances=(draining,))
    fake.says("POST /api/v1/services/a/stop", stopping)
    fake.says(GET, stopping, a_service_view(status=ServiceStatus.STOPPED, instances=()))
    shown = ask("stop", "a", "--wait")
    assert shown.status == 0
    assert "a: 1 instance to stop, 2 requests to finish" in shown.err
    assert "a is STOPPED" in shown.err


def test_delete_waits_until_it_is_gone(ask: Cli, fake: FakeBox) -> None:
    deleting = a_service_view(status=ServiceStatus.DELETING)
    fake.says(GET, a_service_view(), deleting, GONE)
    fake.says("DELETE /api/v1/services/a", deleting)
    shown = ask("delete", "a", "--confirm", "a", "--json")
    assert shown.status == 0
    assert "a is deleted" in shown.err
    assert shown.json["status"] == "DELETING"
    assert fake.asked[1][0] == "DELETE /api/v1/services/a?confirm=a"


def test_delete_without_waiting(ask: Cli, fake: FakeBox) -> None:
    fake.says(GET, a_service_view())
    fake.says("DELETE /api/v1/services/a", a_service_view(status=ServiceStatus.DELETING))
    shown = ask("delete", "a", "--confirm", "a", "--no-wait")
    assert shown.status == 0
    assert "DELETING" in shown.out
    assert len(fake.bodies(GET)) == 1


def test_delete_with_another_name_is_refused(ask: Cli, fake: FakeBox) -> None:
    fake.says(GET, a_service_view())
    fake.says("DELETE /api/v1/services/a", InvalidRequest("'b' is not the name"))
    refused = ask("delete", "a", "--confirm", "b")
    assert refused.status == 2
    assert "'b' is not the name" in refused.err


def test_delete_away_from_a_terminal_needs_confirm(ask: Cli, fake: FakeBox) -> None:
    fake.says(GET, a_service_view())
    refused = ask("delete", "a", input="a\n")
    assert refused.status == 2
    assert "hint: hydra-box delete a --confirm a" in refused.err
    assert not fake.bodies("DELETE /api/v1/services/a")


def test_delete_of_nothing(ask: Cli, fake: FakeBox) -> None:
    fake.says(GET, GONE)
    assert ask("delete", "a", "--confirm", "a").status == 4
