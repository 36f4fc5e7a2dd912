"""Plans, dry runs and the catalog over HTTP, of a real box with a fake engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from hydra_box.client import Client
from hydra_box.errors import Conflict, DoesNotFit, InvalidRequest, NotFound
from hydra_box.messages import DeployRequest, PlanRequest, ScaleRequest, ServiceView
from hydra_box.types import EngineName, FactsSource, PlanOutcome
from tests.api.live import LiveBox
from tests.models.tiny_gguf import write_tiny_gguf
from tests.waiting import eventually


@pytest.fixture
def service(client: Client, model: Path) -> Iterator[ServiceView]:
    """A running service of one instance on the CPU."""
    client.deploy(DeployRequest(model=str(model), name="planned", device="cpu"))
    eventually(lambda: client.service("planned").ready_instances == 1, what="it is ready")
    yield client.service("planned")
    client.delete("planned", "planned")
    eventually(lambda: not client.services(), what="it is gone")


@pytest.fixture
def too_much(tmp_path: Path) -> dict[str, object]:
    """What no machine has the memory for: 64 caches of 256 slots of a million tokens."""
    vast = write_tiny_gguf(tmp_path / "vast.gguf", context_length=1 << 20)
    return {"model": str(vast), "instances": 64, "concurrency": 256, "context_length": 1 << 20}


def test_a_plan(client: Client, model: Path) -> None:
    asked = PlanRequest(model=str(model), instances=2, concurrency=3, device="cpu")
    view = client.plan(asked)
    assert (view.fits, view.outcome, view.engine) == (True, PlanOutcome.FITS, EngineName.LLAMA_CPP)
    assert (view.model, view.instances, view.slots) == (str(model), 2, 3)
    assert view.most_instances >= 2
    assert (view.facts_source, view.download_bytes) == (FactsSource.FILE, 0)
    assert [one.devices for one in view.placements] == [("cpu",), ("cpu",)]
    (cpu,) = [one for one in view.devices if one.device == "cpu"]
    predicted = sum(part.total_bytes for one in view.placements for part in one.memory)
    assert cpu.predicted_bytes == predicted > 0
    assert cpu.predicted_bytes <= cpu.available_bytes
    assert view.reasons
    assert view.flags
    assert not view.missing


def test_a_plan_that_does_not_fit_is_an_answer(
    admin: httpx.Client, too_much: dict[str, object]
) -> None:
    answer = admin.post("/api/v1/plan", json=too_much)
    assert answer.status_code == 200
    view = answer.json()
    assert view["fits"] is False
    assert view["outcome"] is None
    assert view["missing"]
    assert view["reasons"]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"context_length": 1 << 40}, "context_length"),
        ({"engine": "steam"}, "engine"),
        ({"device": "abacus"}, "device"),
        ({"quantization": "Q77"}, "quantization"),
        ({"concurrency": 0}, "concurrency"),
        ({"instances": 0}, "instances"),
    ],
)
def test_what_is_impossible_anywhere_is_refused(
    client: Client, model: Path, changes: dict[str, object], param: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.plan(PlanRequest(model=str(model), **changes))  # type: ignore[arg-type]
    assert caught.value.param == param


def test_a_plan_for_nothing(client: Client) -> None:
    with pytest.raises(NotFound):
        client.plan(PlanRequest(model="/no/such.gguf"))


def test_a_dry_run_of_deploy_makes_nothing(
    admin: httpx.Client, client: Client, model: Path
) -> None:
    asked = {"model": str(model), "name": "dry", "device": "cpu"}
    answer = admin.post("/api/v1/services", params={"dry_run": "true"}, json=asked)
    assert answer.status_code == 200
    assert answer.json()["fits"] is True
    assert client.services() == ()
    assert client.plan_deploy(DeployRequest(model=str(model), device="cpu")).fits
    assert client.services() == ()


def test_a_dry_run_sees_what_the_real_one_would_refuse(
    client: Client, service: ServiceView
) -> None:
    with pytest.raises(Conflict):
        client.plan_deploy(DeployRequest(model=service.base_model, name="planned"))


def test_a_dry_run_of_scale_changes_nothing(client: Client, service: ServiceView) -> None:
    more = client.plan_scale("planned", ScaleRequest(add=2))
    assert (more.fits, more.instances, len(more.placements)) == (True, 3, 2)
    assert (more.context_length, more.slots) == (service.context_length, service.slots)
    (cpu,) = [one for one in more.devices if one.device == "cpu"]
    assert cpu.ours_bytes > 0
    same = client.plan_scale("planned", ScaleRequest(instances=1))
    assert (same.fits, same.instances, same.placements) == (True, 1, ())
    assert client.service("planned").desired_instances == 1


def test_what_does_not_fit_is_not_deployed(client: Client, too_much: dict[str, object]) -> None:
    large = DeployRequest(name="large", **too_much)  # type: ignore[arg-type]
    assert not client.plan_deploy(large).fits
    with pytest.raises(DoesNotFit):
        client.deploy(large)
    assert client.services() == ()


# --- the catalog ------------------------------------------------------------------


def test_models_say_what_this_box_would_do(client: Client, live: LiveBox) -> None:
    views = client.models()
    assert [view.id for view in views] == [spec.id for spec in live.box.catalog.list()]
    assert all(view.reason for view in views)
    demo = client.model("demo")
    listed = next(view for view in views if view.id == "demo")
    # The reason has the memory of that moment.
    assert demo == msgspec.structs.replace(listed, reason=demo.reason)
    assert (demo.fits, demo.engine, demo.on_disk) == (True, EngineName.LLAMA_CPP, True)
    assert demo.planned_context_length is not None


def test_models_name_the_services_that_use_them(own: LiveBox) -> None:
    with own.client() as client:
        client.deploy(DeployRequest(model="demo", name="used"))
        assert client.model("demo").services == ("used",)


def test_a_model_that_is_not_in_the_catalog(client: Client) -> None:
    with pytest.raises(NotFound) as caught:
        client.model("demoo")
    assert "demo" in (caught.value.hint or "")
