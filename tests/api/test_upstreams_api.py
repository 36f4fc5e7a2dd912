"""Upstreams and the terms of services over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hydra_box.client import Client
from hydra_box.errors import Conflict, InvalidRequest, NotFound
from hydra_box.messages import (
    DeployRequest,
    EditRequest,
    EditUpstreamRequest,
    ScaleRequest,
    ServiceView,
    UpstreamRequest,
)
from hydra_box.types import EngineName, Price, ServiceStatus
from tests.api.live import LiveBox
from tests.api.test_services_api import remove, wait
from tests.waiting import eventually

NOBODY = "http://127.0.0.1:9/v1"
"""Nobody listens on the port of discard."""
SECRET = "sk-a-secret-of-the-api"
UPSTREAM = UpstreamRequest(base_url=NOBODY, model="there", api_key=SECRET, allow_private=True)


def of_upstream(**changes: Any) -> DeployRequest:
    values: dict[str, Any] = {"model": "deepseek-r1", "public": True, "upstreams": (UPSTREAM,)}
    return DeployRequest(**values | changes)


@pytest.fixture
def remote(client: Client) -> Iterator[ServiceView]:
    """A service of one upstream, which is not there."""
    yield client.deploy(of_upstream(name="remote"))
    remove(client, "remote")


def test_a_service_of_an_upstream(client: Client, remote: ServiceView) -> None:
    assert remote.access_name == "public/remote"
    assert (remote.engine, remote.base_model) == (EngineName.UPSTREAM, "deepseek-r1")
    assert (remote.desired_instances, remote.slots, remote.context_length) == (0, 0, 0)
    assert remote.instances == ()
    # As the catalog has it.
    assert remote.price is not None
    assert remote.owner_name == "local"
    failed = wait(client, "remote", ServiceStatus.FAILED)
    (upstream,) = failed.upstreams
    assert failed.reason == f"upstream {upstream.id}: it cannot be reached: Connection refused"
    assert (upstream.has_key, upstream.healthy) == (True, False)
    (attention,) = [one for one in client.status().attention if one.service_name == "remote"]
    assert attention.hint == "hydra-box upstreams list remote"


def test_what_makes_no_sense_without_instances(client: Client, remote: ServiceView) -> None:
    for call in (
        lambda: client.scale("remote", ScaleRequest(add=1)),
        lambda: client.plan_scale("remote", ScaleRequest(add=1)),
        lambda: client.edit("remote", EditRequest(context_length=512)),
        lambda: client.plan_edit("remote", EditRequest(context_length=512)),
    ):
        with pytest.raises(Conflict, match="served by upstreams alone"):
            call()
    with pytest.raises(InvalidRequest, match="nothing here that could fall asleep"):
        client.edit("remote", EditRequest(idle_timeout_seconds=60.0))
    assert client.stop("remote").status is ServiceStatus.STOPPED
    assert client.service("remote").reason is None
    assert client.start("remote").status is not ServiceStatus.STOPPED


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"public": False}, "upstreams"),
        ({"instances": 2}, "instances"),
        ({"context_length": 512}, "context_length"),
        ({"device": "cpu"}, "device"),
        ({"engine": "vllm"}, "engine"),
        ({"allow_code": True}, "allow_code"),
        ({"idle_timeout_seconds": 60.0}, "idle_timeout_seconds"),
        ({"model": ""}, "model"),
        ({"price": Price(input_per_million=-1.0, output_per_million=0.0)}, "price"),
        (
            {"upstreams": (UpstreamRequest(base_url="http://10.0.0.1/v1", model="m"),)},
            "base_url",
        ),
        ({"upstreams": (UPSTREAM, UPSTREAM)}, "base_url"),
    ],
)
def test_refusals_leave_nothing(
    live: LiveBox, client: Client, changes: dict[str, Any], param: str
) -> None:
    before = client.services()
    with pytest.raises((InvalidRequest, Conflict)) as refused:
        client.deploy(of_upstream(name="refused", **changes))
    assert refused.value.param == param
    assert client.services() == before
    keys = live.box.paths.upstream_keys
    kept = {one.id for view in before for one in view.upstreams}
    assert {path.stem for path in keys.iterdir()} <= kept


def test_there_is_no_plan_for_it(client: Client) -> None:
    with pytest.raises(InvalidRequest, match="no plan"):
        client.plan_deploy(of_upstream())


def test_upstreams_of_a_service(client: Client, remote: ServiceView) -> None:
    second = UpstreamRequest(base_url=f"{NOBODY}/", model="other", allow_private=True)
    added = client.add_upstream("remote", second)
    assert (added.base_url, added.has_key) == (NOBODY, False)
    assert [one.model for one in client.upstreams("public/remote")] == ["there", "other"]
    edited = client.edit_upstream(
        "remote", added.id, EditUpstreamRequest(weight=2.0, api_key="sk-another")
    )
    assert (edited.weight, edited.has_key, edited.model) == (2.0, True, "other")
    checked = client.check_upstream("remote", added.id)
    assert checked.reason == "it cannot be reached: Connection refused"
    assert client.remove_upstream("remote", added.id).id == added.id
    with pytest.raises(NotFound, match="has no upstream") as gone:
        client.remove_upstream("remote", added.id)
    assert gone.value.hint == f"it has {remote.upstreams[0].id}"
    client.remove_upstream("remote", remote.upstreams[0].id)
    without = wait(client, "remote", ServiceStatus.FAILED)
    assert (without.reason or "").startswith("it has no upstream")


def test_an_upstream_beside_instances(client: Client, model: Path) -> None:
    client.deploy(DeployRequest(model=str(model), name="mixed", public=True))
    wait(client, "mixed", ServiceStatus.RUNNING)
    client.add_upstream("mixed", UPSTREAM)
    view = wait(client, "mixed", ServiceStatus.RUNNING)
    assert (view.ready_instances, len(view.upstreams)) == (1, 1)
    remove(client, "mixed")
    client.deploy(DeployRequest(model=str(model), name="own"))
    with pytest.raises(InvalidRequest, match="is not public"):
        client.add_upstream("own", UPSTREAM)
    remove(client, "own")


def test_only_an_admin_may(live: LiveBox, tcp: httpx.Client, inference_key: str) -> None:
    body = {"base_url": "https://api.example.com/v1", "model": "m"}
    path = "/api/v1/services/remote/upstreams"
    assert tcp.post(path, json=body).status_code == 401
    headers = {"Authorization": f"Bearer {inference_key}"}
    assert tcp.post(path, json=body, headers=headers).status_code == 403
    assert tcp.get(path, headers=headers).status_code == 403


def test_no_answer_has_the_key(admin: httpx.Client, client: Client, remote: ServiceView) -> None:
    path = f"/api/v1/services/remote/upstreams/{remote.upstreams[0].id}"
    answers = [
        admin.get("/api/v1/services/remote"),
        admin.get("/api/v1/services/remote/upstreams"),
        admin.patch(path, json={"api_key": SECRET, "weight": 0}),
        admin.patch(path, json={"api_key": f"{SECRET} {SECRET}"}),
        admin.patch(path, json={"api_key": SECRET}),
        admin.patch(path, json={"api_key": [SECRET]}),
        admin.post(f"{path}/check"),
        admin.get("/api/v1/events/recent"),
    ]
    assert [one.status_code for one in answers] == [200, 200, 400, 400, 200, 400, 200, 200]
    assert not any(SECRET in one.text for one in answers)


def test_the_owner_of_a_service(live: LiveBox, client: Client, model: Path) -> None:
    anna = client.create_user("anna")
    view = client.deploy(DeployRequest(model=str(model), name="annas", user="anna"))
    assert (view.owner_id, view.owner_name) == (anna.id, "anna")
    assert view.access_name == f"{anna.id}/annas"
    remove(client, "annas")
    with pytest.raises(NotFound, match="there is no user 'ann'"):
        client.deploy(DeployRequest(model=str(model), user="ann"))
    client.delete_user("anna")


def test_terms_are_changed_without_a_plan(client: Client, model: Path) -> None:
    price = Price(input_per_million=0.5, output_per_million=1.5)
    client.deploy(
        DeployRequest(model=str(model), name="terms", price=price, idle_timeout_seconds=600.0)
    )
    before = wait(client, "terms", ServiceStatus.RUNNING)
    assert (before.price, before.idle_timeout_seconds) == (price, 600.0)
    dearer = Price(input_per_million=1.0, output_per_million=3.0)
    after = client.edit("terms", EditRequest(price=dearer, idle_timeout_seconds=0.0))
    assert (after.price, after.idle_timeout_seconds) == (dearer, None)
    assert after.status is ServiceStatus.RUNNING
    assert [one.id for one in after.instances] == [one.id for one in before.instances]
    change = "terms is to have no idle timeout, the price 1 / 3 a million"
    eventually(lambda: change in [one.message for one in client.recent_events()], what="it is told")
    # Both kinds at once.
    both = client.edit("terms", EditRequest(concurrency=2, idle_timeout_seconds=900.0))
    assert (both.slots, both.idle_timeout_seconds, both.price) == (2, 900.0, dearer)
    for idle in (0.5, -1.0, 1e12):
        with pytest.raises(InvalidRequest, match="idle timeout"):
            client.edit("terms", EditRequest(idle_timeout_seconds=idle))
    remove(client, "terms")
