from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hydra_box.client import Client
from hydra_box.errors import Conflict, InvalidRequest, NotFound
from hydra_box.messages import DeployRequest, ScaleRequest, ServiceView
from hydra_box.process import rotate
from hydra_box.types import InstanceState, ServiceStatus
from tests.api.live import LiveBox
from tests.fakes.engine import behave
from tests.waiting import eventually


def wait(client: Client, name: str, status: ServiceStatus) -> ServiceView:
    eventually(lambda: client.service(name).status is status, what=f"{name} is {status}")
    return client.service(name)


def remove(client: Client, name: str) -> None:
    client.delete(name, name)
    eventually(lambda: name not in [one.name for one in client.services()], what="it is gone")


@pytest.fixture
def service(client: Client, model: Path) -> Iterator[ServiceView]:
    """A running service of one instance."""
    client.deploy(DeployRequest(model=str(model), name="tiny"))
    yield wait(client, "tiny", ServiceStatus.RUNNING)
    remove(client, "tiny")


def test_the_life_of_a_service(client: Client, model: Path) -> None:
    deployed = client.deploy(DeployRequest(model=str(model), name="life", concurrency=2))
    assert (deployed.name, deployed.status) == ("life", ServiceStatus.DEPLOYING)
    running = wait(client, "life", ServiceStatus.RUNNING)
    (instance,) = running.instances
    assert (instance.state, instance.slots) == (InstanceState.READY, 2)
    assert [one.name for one in client.services()] == ["life"]
    assert client.status().services[0].id == running.id

    assert client.scale("life", ScaleRequest(add=1)).desired_instances == 2
    assert len(wait(client, "life", ServiceStatus.RUNNING).instances) == 2
    client.scale("life", ScaleRequest(instances=1))
    eventually(lambda: len(client.service("life").instances) == 1, what="one instance is left")

    assert client.stop("life").status is ServiceStatus.STOPPED
    assert client.start("life").desired_instances == 1
    wait(client, "life", ServiceStatus.RUNNING)

    with pytest.raises(InvalidRequest, match="'wrong' is not the name"):
        client.delete("life", "wrong")
    remove(client, "life")
    with pytest.raises(NotFound, match="there is no service 'life'"):
        client.service("life")


def test_statuses_of_the_answers(admin: httpx.Client, client: Client, model: Path) -> None:
    deployed = admin.post("/api/v1/services", json={"model": str(model), "name": "codes"})
    assert deployed.status_code == 201
    for path, body in (("scale", {"add": 1}), ("stop", None), ("start", None)):
        answer = admin.post(f"/api/v1/services/codes/{path}", json=body)
        assert answer.status_code == 200, answer.text
    assert admin.delete("/api/v1/services/codes?confirm=codes").status_code == 202
    eventually(lambda: not client.services(), what="it is gone")


def test_a_service_is_found_by_name_id_and_access_name(
    client: Client, service: ServiceView
) -> None:
    for name in (service.name, service.id, service.access_name):
        assert client.service(name).id == service.id
    with pytest.raises(NotFound) as caught:
        client.service(f"{service.access_name}x")
    assert caught.value.hint == f"did you mean {service.access_name}?"


def test_refusals_come_with_their_class_and_hint(client: Client, service: ServiceView) -> None:
    with pytest.raises(Conflict) as taken:
        client.deploy(DeployRequest(model=service.base_model, name="tiny"))
    assert taken.value.param == "name"
    with pytest.raises(NotFound) as unknown:
        client.scale("tiy", ScaleRequest(instances=1))
    assert unknown.value.hint == "did you mean tiny?"
    with pytest.raises(InvalidRequest, match="1 character"):
        client.deploy(DeployRequest(model=service.base_model, name="x"))


def test_a_chat_over_the_unix_socket_needs_no_key(client: Client, service: ServiceView) -> None:
    body = {"model": service.access_name, "messages": [{"role": "user", "content": "hello!"}]}
    chunks = list(client.chat(body))
    words = [one["choices"][0]["delta"].get("content", "") for one in chunks if one["choices"]]
    assert "".join(words) == "word0 word1 word2 "


def test_a_chat_that_is_refused_raises_what_was_answered(client: Client) -> None:
    with pytest.raises(NotFound, match="no service has the access name 'public/none'"):
        next(client.chat({"model": "public/none", "messages": []}))


# --- logs ---------------------------------------------------------------------


def test_logs_of_one_instance_and_of_all(client: Client, service: ServiceView) -> None:
    (instance,) = service.instances
    of_one = list(client.logs("tiny", instance=instance.id))
    assert any("loading model" in line for line in of_one)
    of_all = list(client.logs("tiny"))
    assert of_all == [f"{instance.id} | {line}" for line in of_one]
    assert list(client.logs("tiny", lines=1)) == of_all[-1:]
    assert list(client.logs("tiny", lines=0)) == []


def test_logs_of_what_is_not_there(client: Client, service: ServiceView) -> None:
    with pytest.raises(NotFound, match="there is no service 'none'"):
        next(client.logs("none"))
    with pytest.raises(NotFound) as caught:
        next(client.logs("tiny", instance="tiny-0"))
    assert service.instances[0].id in (caught.value.hint or "")


def test_following_a_log_through_rotation_until_the_service_is_gone(
    live: LiveBox, client: Client, model: Path
) -> None:
    client.deploy(DeployRequest(model=str(model), name="noisy"))
    (instance,) = wait(client, "noisy", ServiceStatus.RUNNING).instances
    path = live.box.paths.instance_log(instance.id)
    told: list[str] = []

    def follow() -> None:
        with live.client() as follower:
            told.extend(follower.logs("noisy", instance=instance.id, follow=True, lines=1))

    with live.client() as first:
        lines = first.logs("noisy", follow=True)
        assert next(lines).startswith(f"{instance.id} | ")
        follower = threading.Thread(target=follow)
        follower.start()
        with path.open("a") as log:
            log.write("before\n")
        eventually(lambda: next(lines).endswith("| before\n"), what="the new line is told")
        assert rotate(path, 1)
        with path.open("a") as log:
            log.write("after\n")
        eventually(lambda: next(lines).endswith("| after\n"), what="the newest line is told")
        lines.close()  # type: ignore[attr-defined]
    # It may be the later one to come.
    eventually(lambda: "after\n" in told, what="the other follower is told, too")
    remove(client, "noisy")
    follower.join(90)
    assert not follower.is_alive()


def test_what_an_engine_said_before_it_died_is_in_its_log(
    client: Client, model: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(model.read_bytes())
    behave(broken, "--say", "no room on this device", "--exit-at-once", "1")
    client.deploy(DeployRequest(model=str(broken), name="broken"))
    eventually(
        lambda: any("no room on this device" in line for line in client.logs("broken")),
        what="its last words are in the log",
        ignoring=(NotFound,),
    )
    eventually(lambda: client.status().attention, what="the box asks for attention")
    remove(client, "broken")
