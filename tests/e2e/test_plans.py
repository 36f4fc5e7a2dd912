"""Plans on a real daemon with the real llama.cpp: asked, kept, measured, learned from."""

from __future__ import annotations

import msgspec
import pytest

from hydra_box.catalog import DEMO_MODEL
from hydra_box.errors import EngineUnavailable, InvalidRequest, NotFound, Unavailable
from hydra_box.messages import DeployRequest, PlanRequest, ScaleRequest
from hydra_box.plan.sizes import MOST_INSTANCES
from hydra_box.types import EngineName, FactsSource, MeasuredMemory, PlanOutcome
from tests.boxes import RunningBox
from tests.conftest import DemoBox, StartBox
from tests.waiting import eventually


def test_a_plan_says_what_deploying_then_does(box: DemoBox) -> None:
    request = PlanRequest(model="demo", context_length=256, concurrency=2)
    view = box.running.client.plan(request)
    assert view.fits
    assert view.outcome is PlanOutcome.FITS
    assert (view.engine, view.facts_source) == (EngineName.LLAMA_CPP, FactsSource.FILE)
    assert (view.context_length, view.slots, view.download_bytes) == (256, 2, 0)
    (placement,) = view.placements
    assert placement.device == "cpu"
    (cpu,) = view.devices
    assert cpu.predicted_bytes == placement.memory[0].total_bytes
    assert view.reasons
    assert "--ctx-size" in view.flags
    assert view.flags[view.flags.index("--ctx-size") + 1] == "512"


def test_a_dry_run_changes_nothing(box: DemoBox) -> None:
    client = box.running.client
    before = [one.id for one in client.services()]
    assert client.plan_deploy(DeployRequest(model="demo", name="never-made")).fits
    client.plan_scale("demo", ScaleRequest(instances=3))
    assert [one.id for one in client.services()] == before
    assert client.service("demo").desired_instances == 1


def test_a_plan_to_scale_counts_the_instances_that_run(box: DemoBox) -> None:
    view = box.running.client.plan_scale("demo", ScaleRequest(add=2))
    assert (view.fits, view.instances, len(view.placements)) == (True, 3, 2)
    assert 3 <= view.most_instances <= MOST_INSTANCES
    fewer = box.running.client.plan_scale("demo", ScaleRequest(instances=1))
    assert (fewer.fits, fewer.instances, len(fewer.placements)) == (True, 1, 0)
    assert 1 <= fewer.most_instances <= MOST_INSTANCES


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"context_length": 10**6}, "context_length"),
        ({"concurrency": 0}, "concurrency"),
        ({"instances": 0}, "instances"),
        ({"instances": 10**6}, "instances"),
        ({"engine": "tensorrt"}, "engine"),
        ({"quantization": "Q3_X"}, "quantization"),
        ({"device": "gpu7"}, "device"),
    ],
)
def test_what_no_machine_could_do_is_an_error(
    box: DemoBox, changes: dict[str, object], param: str
) -> None:
    request = msgspec.convert({"model": "demo", **changes}, PlanRequest)
    with pytest.raises(InvalidRequest) as error:
        box.running.client.plan(request)
    assert error.value.param == param


def test_an_unknown_model_is_named(box: DemoBox) -> None:
    with pytest.raises(NotFound, match="qwen-nothing"):
        box.running.client.plan(PlanRequest(model="qwen-nothing"))


def test_a_model_that_is_not_here_is_planned_without_the_hub(box: DemoBox) -> None:
    client = box.running.client
    view = client.plan(PlanRequest(model="qwen2-0.5b-instruct", context_length=2048))
    assert view.download_bytes > 0
    with pytest.raises(Unavailable, match="cannot be reached"):
        client.deploy(DeployRequest(model="qwen2-0.5b-instruct", context_length=2048))


def test_what_does_not_fit_is_refused_with_what_would(box: DemoBox) -> None:
    client = box.running.client
    view = client.plan(PlanRequest(model="deepseek-r1"))
    assert not view.fits
    assert view.reasons
    with pytest.raises(EngineUnavailable, match="there is no GPU") as error:
        client.deploy(DeployRequest(model="deepseek-r1"))
    assert "would fit" in str(error.value.hint)
    with pytest.raises(InvalidRequest):
        client.scale("demo", ScaleRequest())


def test_a_runtime_that_is_too_old_for_a_model(start_box: StartBox) -> None:
    box = start_box()
    (box.home / "models.toml").write_text(
        f'[models.new]\nname = "New"\npath = "{DEMO_MODEL}"\n'
        'minimum = { "llama.cpp" = "99999.1" }\n'
    )
    with pytest.raises(EngineUnavailable, match=r"New needs llama\.cpp 99999\.1") as error:
        box.client.deploy(DeployRequest(model="new"))
    assert error.value.hint == "hydra-box engines install llama.cpp"


def test_measured_stands_beside_predicted_and_is_kept(start_box: StartBox) -> None:
    box = start_box()
    box.deploy(DeployRequest(model="demo", name="measured"))
    eventually(lambda: _memory(box), what="the instance is measured")
    (memory,) = _memory(box)
    assert memory.device == "cpu"
    assert memory.reported_bytes is not None
    assert 0 < memory.reported_bytes <= memory.predicted_bytes
    assert 0.25 * memory.predicted_bytes < memory.measured_bytes < 4 * memory.predicted_bytes
    correction = box.client.plan(PlanRequest(model="demo")).correction
    assert correction is not None
    assert correction.id == "llama.cpp/llama/cpu"
    assert correction.samples == 1
    assert box.stop() == 0

    again = start_box()
    kept = again.client.plan(PlanRequest(model="demo")).correction
    assert kept is not None
    assert kept.samples >= 1


def _memory(box: RunningBox) -> tuple[MeasuredMemory, ...]:
    return box.client.service("measured").instances[0].memory
