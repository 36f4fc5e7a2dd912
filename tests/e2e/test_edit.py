"""Editing services of a real box on the real llama.cpp: planned, stored, replaced, refused."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

import msgspec
import psutil
import pytest

from hydra_box.catalog import DEMO_MODEL
from hydra_box.errors import Conflict, DoesNotFit, EngineUnavailable, InvalidRequest, NotFound
from hydra_box.messages import DeployRequest, EditRequest, ScaleRequest, ServiceView
from hydra_box.types import EngineName, Scope, ServiceStatus
from tests.boxes import RunningBox
from tests.conftest import DemoBox, StartBox
from tests.e2e import hubs
from tests.e2e.commands import run, run_json
from tests.e2e.rollouts import attention, lost, offer_broken, pids, told, wait_told
from tests.e2e.streams import chat, leave, open_stream, read_whole
from tests.fakes.engine import behave, install_as_built
from tests.fakes.hub import FakeHub
from tests.faults.load import Load
from tests.models.tiny_gguf import write_tiny_gguf
from tests.waiting import eventually


def deploy(box: RunningBox, name: str, **changes: object) -> ServiceView:
    """A service with two slots of 512 tokens an instance."""
    values = {"model": "demo", "name": name, "context_length": 512, "concurrency": 2, **changes}
    return box.deploy(msgspec.convert(values, DeployRequest))


def replaced(box: RunningBox, before: ServiceView) -> ServiceView:
    """The service, once it is RUNNING on other instances only."""
    view = box.wait_running(before.name)
    assert not {one.id for one in before.instances} & {one.id for one in view.instances}
    return view


def option_of(view: ServiceView, option: str) -> set[str]:
    """The values of an option in the command lines of a service's engines."""
    found = set()
    for one in view.instances:
        assert one.pid is not None
        argv = psutil.Process(one.pid).cmdline()
        found.add(argv[argv.index(option) + 1])
    return found


def answers(box: RunningBox, key: str, view: ServiceView) -> bool:
    body = chat(view.access_name, max_tokens=5)
    return asyncio.run(read_whole(box.url, key, body))[0] == 200


def changes_of(box: RunningBox, name: str) -> list[str]:
    """What the events say was changed of a service."""
    events = box.client.recent_events(service=name)
    return [one.message for one in events if one.kind == "service.changed"]


def wait_changes(box: RunningBox, name: str, *messages: str) -> None:
    """Return once exactly these are stored; that is a moment after the change."""
    eventually(lambda: changes_of(box, name) == list(messages), what="the change is told")


def test_context_and_slots_of_all_instances_are_changed(box: DemoBox) -> None:
    running, client = box.running, box.running.client
    before = deploy(running, "edited", instances=2)
    assert option_of(before, "--ctx-size") == {"1024"}
    assert answers(running, box.key, before)

    view = client.edit("edited", EditRequest(context_length=256, concurrency=3))
    assert (view.id, view.access_name) == (before.id, before.access_name)
    assert (view.context_length, view.slots) == (256, 3)
    # It is not RUNNING before the last instance runs like that.
    assert view.status is ServiceStatus.SCALING
    after = replaced(running, before)
    assert option_of(after, "--ctx-size") == {"768"}
    assert option_of(after, "--parallel") == {"3"}
    assert {one.slots for one in after.instances} == {3}
    assert answers(running, box.key, after)
    told = "edited is to have 256 tokens of context instead of 512, 3 slots instead of 2"
    wait_changes(running, "edited", told)

    # What is asked for is what it is: nothing happens.
    same = EditRequest(context_length=256, engine="LLAMA.CPP", device="auto")
    assert client.edit("edited", same).status is ServiceStatus.RUNNING
    assert client.edit("edited", EditRequest()).instances[0].id == after.instances[0].id
    assert changes_of(running, "edited") == [told]
    client.delete("edited", "edited")


@pytest.mark.parametrize("instances", [1, 2])
def test_an_edit_under_load_loses_no_request(box: DemoBox, instances: int) -> None:
    running, name = box.running, f"gapless-{instances}"
    before = deploy(running, name, instances=instances)
    with Load(running.url, before.access_name, box.key) as load:
        words = ("edit", name, "--context-length=256", "--wait")
        edited = run_json(running, *words)
        assert (edited["context_length"], edited["ready_instances"]) == (256, instances)
        load.wait_answered()
    assert lost(load) == set()
    assert not pids(before) & pids(running.client.service(name))
    assert running.client.service(name).rollout is None
    running.client.delete(name, name)


def test_fewer_instances_under_load_lose_no_request(box: DemoBox) -> None:
    running = box.running
    before = deploy(running, "fewer", instances=3)
    with Load(running.url, before.access_name, box.key, clients=6) as load:
        running.client.scale("fewer", ScaleRequest(instances=1))
        after = running.wait_running("fewer")
        load.wait_answered()
    assert lost(load) == set()
    # The oldest stays.
    assert [one.id for one in after.instances] == [before.instances[0].id]
    running.client.delete("fewer", "fewer")


@pytest.mark.parametrize("instances", [1, 2])
def test_an_edit_to_what_cannot_start_goes_back_by_itself(
    start_box: StartBox, tmp_path: Path, instances: int
) -> None:
    box = start_box()
    model = offer_broken(box, tmp_path)
    before = deploy(box, "back", model=model, quantization="Q8_0", instances=instances)
    with Load(box.url, before.access_name, box.key("k", Scope.INFERENCE)) as load:
        edited = box.client.edit("back", EditRequest(quantization="F32"))
        assert (edited.quantization, edited.status) == ("F32", ServiceStatus.SCALING)
        assert edited.rollout == f"0 of {instances} instance{'s' * (instances > 1)} replaced"
        why = wait_told(box, "service.rolled_back")
        after = box.wait_running("back")
        load.wait_answered()
    assert lost(load) == set()
    assert why.startswith("back runs as before its edit again: ")
    assert attention(box) == [why]
    # Those that served were never touched.
    assert (after.quantization, after.rollout) == ("Q8_0", None)
    assert pids(after) == pids(before)

    # What needs attention is over with the next edit that works.
    box.client.edit("back", EditRequest(concurrency=1))
    replaced(box, before)
    eventually(lambda: attention(box) == [], what="nothing needs attention")


def test_it_goes_back_also_after_the_daemon_was_killed(start_box: StartBox, tmp_path: Path) -> None:
    box = start_box()
    deploy(box, "killed", model=offer_broken(box, tmp_path), quantization="Q8_0")
    box.client.edit("killed", EditRequest(quantization="F32"))
    box.process.kill()
    box.stop()
    again = start_box()
    wait_told(again, "service.rolled_back")
    after = again.wait_running("killed")
    assert (after.quantization, after.rollout) == ("Q8_0", None)
    assert answers(again, again.key("k", Scope.INFERENCE), after)


def test_an_edit_that_dies_of_what_it_is_asked_goes_back(
    start_box: StartBox, home: Path, tmp_path: Path
) -> None:
    install_as_built(home / "engines")
    home.chmod(0o700)
    box = start_box()
    box.wait_verified()
    model = tmp_path / "model.gguf"
    model.write_bytes(DEMO_MODEL.read_bytes())
    first = deploy(box, "dies", model=str(model))
    box.client.edit("dies", EditRequest(context_length=256))
    (once,) = replaced(box, first).instances
    assert once.pid is not None
    # One death may have any reason.
    psutil.Process(once.pid).kill()
    eventually(lambda: box.client.service("dies").instances[0].restarts, what="it starts again")
    second = box.wait_running("dies")
    assert (second.context_length, told(box, "service.rolled_back")) == (256, [])

    # It gets ready, and dies of the first request, each time.
    behave(model, "--crash-after", "1")
    # Those that ask are there before: the first answers come from what serves now.
    with Load(box.url, first.access_name, box.key("k", Scope.INFERENCE)):
        box.client.edit("dies", EditRequest(context_length=1024))
        assert "SIGKILL" in wait_told(box, "service.rolled_back")
    behave(model)
    after = box.wait_running("dies")
    # What served last for a while, and not what was tried in between.
    assert (after.context_length, option_of(after, "--ctx-size")) == (512, {"1024"})


def test_an_owner_who_edits_again_is_not_overruled(start_box: StartBox, tmp_path: Path) -> None:
    box = start_box()
    model = offer_broken(box, tmp_path)
    before = deploy(box, "again", model=model, quantization="Q8_0")
    box.client.edit("again", EditRequest(quantization="F32"))
    box.client.edit("again", EditRequest(quantization="Q8_0", context_length=256))
    after = replaced(box, before)
    assert (after.quantization, after.context_length) == ("Q8_0", 256)
    # Back by hand: the instance that never ended serves on, as it is what is wanted again.
    box.client.edit("again", EditRequest(quantization="F32"))
    box.client.edit("again", EditRequest(quantization="Q8_0"))
    assert pids(box.wait_running("again")) == pids(after)
    assert told(box, "service.rolled_back") == []


async def test_a_stream_outlives_the_edit(box: DemoBox) -> None:
    view = await asyncio.to_thread(deploy, box.running, "streaming")
    body = chat(view.access_name, max_tokens=400, ignore_eos=True, stream=True)
    reader, writer = await open_stream(box.url, box.key, body)
    first = await reader.readuntil(b"data: ")
    edited = await asyncio.to_thread(run_json, box.running, "edit", "streaming", "--concurrency=1")
    assert edited["slots"] == 1
    rest = await reader.read()
    await leave(writer)
    assert b"data: [DONE]" in first + rest
    after = await asyncio.to_thread(replaced, box.running, view)
    assert option_of(after, "--parallel") == {"1"}
    await asyncio.to_thread(box.running.client.delete, "streaming", "streaming")


def test_a_dry_run_shows_the_plan_without_its_own_instances(start_box: StartBox) -> None:
    box = start_box()
    before = deploy(box, "dry")
    view = box.client.plan_edit("dry", EditRequest(context_length=1024))
    assert (view.fits, view.instances, len(view.placements)) == (True, 1, 1)
    assert (view.context_length, view.slots, view.quantization) == (1024, 2, before.quantization)
    (cpu,) = [one for one in view.devices if one.device == "cpu"]
    assert (cpu.ours_bytes, cpu.predicted_bytes > 0) == (0, True)
    more = box.client.plan_scale("dry", ScaleRequest(add=1))
    assert [one.ours_bytes > 0 for one in more.devices if one.device == "cpu"] == [True]
    shown = run(box, "edit", "dry", "--context-length", "1024", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "1 instance of 2 slots x 1,024 tokens" in shown.stdout
    assert box.client.service("dry").instances[0].id == before.instances[0].id
    assert box.client.service("dry").context_length == 512
    assert changes_of(box, "dry") == []


def test_a_stopped_service_is_edited_and_starts_like_that(box: DemoBox, tmp_path: Path) -> None:
    running, client = box.running, box.running.client
    vast = write_tiny_gguf(tmp_path / "vast.gguf", context_length=1 << 20)
    deploy(running, "stopped", model=str(vast))
    run_json(running, "stop", "stopped", "--wait")
    edited = run(running, "edit", "stopped", "--context-length", "128", "--wait")
    assert edited.returncode == 0, edited.stderr
    assert "hydra-box start stopped" in edited.stderr
    assert client.service("stopped").status is ServiceStatus.STOPPED
    assert client.service("stopped").instances == ()

    # No machine has the memory for 64 times 256 slots of a million tokens.
    client.scale("stopped", ScaleRequest(instances=64))
    too_much = EditRequest(context_length=1 << 20, concurrency=256)
    view = client.plan_edit("stopped", too_much)
    assert (view.fits, view.instances, bool(view.missing)) == (False, 64, True)
    with pytest.raises(DoesNotFit) as refused:
        client.edit("stopped", too_much)
    assert "would fit" in (refused.value.hint or "")
    client.scale("stopped", ScaleRequest(instances=1))
    client.start("stopped")
    view_of_it = running.wait_running("stopped")
    assert option_of(view_of_it, "--ctx-size") == {"256"}
    assert view_of_it.slots == 2
    client.delete("stopped", "stopped")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"context_length": 10**6}, "context_length"),
        ({"concurrency": 0}, "concurrency"),
        ({"engine": "tensorrt"}, "engine"),
        ({"quantization": "Q3_X"}, "quantization"),
        ({"device": "gpu7"}, "device"),
    ],
)
def test_what_is_impossible_is_refused(
    box: DemoBox, changes: dict[str, object], param: str
) -> None:
    client = box.running.client
    before = client.service("demo")
    request = msgspec.convert(changes, EditRequest)
    for ask in (client.edit, client.plan_edit):
        with pytest.raises(InvalidRequest) as refused:
            ask("demo", request)
        assert refused.value.param == param
    # The other engine reads other weights, which have to be asked for, too.
    with pytest.raises(EngineUnavailable, match="vLLM reads safetensors"):
        client.edit("demo", EditRequest(engine="vllm"))
    with pytest.raises(EngineUnavailable, match="no runtime of vllm"):
        client.edit("demo", EditRequest(engine="vllm", quantization="F16"))
    after = client.service("demo")
    assert (after.context_length, after.slots) == (before.context_length, before.slots)
    assert after.instances[0].id == before.instances[0].id


def test_other_weights_that_are_here(start_box: StartBox, tmp_path: Path) -> None:
    box = start_box()
    tiny = write_tiny_gguf(tmp_path / "tiny.gguf")
    (box.home / "models.toml").write_text(f'[models.two]\npath = ["{DEMO_MODEL}", "{tiny}"]\n')
    before = deploy(box, "two", model="two", quantization="Q8_0")
    assert option_of(before, "--model") == {str(DEMO_MODEL)}
    view = box.client.edit("two", EditRequest(quantization="f32"))
    assert (view.engine, view.quantization) == (EngineName.LLAMA_CPP, "F32")
    after = replaced(box, before)
    assert option_of(after, "--model") == {str(tiny)}
    assert (after.context_length, after.slots) == (512, 2)
    wait_changes(box, "two", "two is to have F32 instead of Q8_0")


def test_weights_on_the_hub_are_fetched_before(
    start_box: StartBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeHub(tmp_path / "hub") as hub:
        hubs.fill(hub)
        write_tiny_gguf(hub.repository(hubs.GGUF) / "tiny-F32.gguf")
        for name, value in hubs.environ(hub, tmp_path / "cache").items():
            monkeypatch.setenv(name, value)
        box = start_box()
        before = deploy(box, "hub", model=f"hf:{hubs.GGUF}", quantization="Q8_0")
        for ask in (box.client.edit, box.client.plan_edit):
            with pytest.raises(Conflict, match=f"F32 of hf:{hubs.GGUF} for llama.cpp is not") as no:
                ask("hub", EditRequest(quantization="F32"))
        hint = no.value.hint or ""
        assert box.client.service("hub").instances[0].id == before.instances[0].id
        assert run(box, *shlex.split(hint.partition("hydra-box ")[2])).returncode == 0
        box.client.edit("hub", EditRequest(quantization="F32"))
        after = replaced(box, before)
        assert (after.quantization, after.context_length) == ("F32", 512)
        assert [one.endswith("tiny-F32.gguf") for one in option_of(after, "--model")] == [True]


@pytest.mark.parametrize("model", [f"hf:{hubs.GGUF}", "small"])
def test_another_revision_of_the_model(
    start_box: StartBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    with FakeHub(tmp_path / "hub") as hub:
        hubs.fill(hub)
        for name, value in hubs.environ(hub, tmp_path / "cache").items():
            monkeypatch.setenv(name, value)
        box = start_box()
        entry = f'[[models.small.gguf]]\nrepo = "{hubs.GGUF}"\n'
        (box.home / "models.toml").write_text(entry)
        before = deploy(box, "newer", model=model, quantization="Q8_0")
        newest = EditRequest(revision="main")
        assert pids(box.client.edit("newer", newest)) == pids(before)
        (hub.repository(hubs.GGUF) / "README.md").write_text("# Tiny, of another day\n")
        with pytest.raises(Conflict) as no:
            box.client.edit("newer", newest)
        hint = no.value.hint or ""
        assert run(box, *shlex.split(hint.partition("hydra-box ")[2])).returncode == 0
        box.client.edit("newer", newest)
        after = replaced(box, before)
        (path,) = option_of(after, "--model")
        assert hub.commit(hubs.GGUF) in path
        wait_changes(box, "newer", "newer is to have another revision of its model")
        with pytest.raises(NotFound):
            box.client.edit("newer", EditRequest(revision="v2"))


def test_not_before_its_model_is_here(
    start_box: StartBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeHub(tmp_path / "hub") as hub:
        hubs.fill(hub)
        for name, value in hubs.environ(hub, tmp_path / "cache").items():
            monkeypatch.setenv(name, value)
        box = start_box(download_limit_bytes_per_second=1024)
        request = DeployRequest(model=f"hf:{hubs.GGUF}:Q8_0", name="early", context_length=512)
        box.client.deploy(request)
        with pytest.raises(Conflict, match="early can be edited once"):
            box.client.edit("early", EditRequest(context_length=256))
        assert box.client.service("early").context_length == 512
        assert box.stop() == 0


def test_a_daemon_that_is_killed_in_the_middle(start_box: StartBox) -> None:
    box = start_box()
    deploy(box, "killed", instances=2)
    box.client.edit("killed", EditRequest(context_length=256))
    box.process.kill()
    box.stop()
    again = start_box()
    after = again.wait_running("killed")
    assert (after.context_length, after.desired_instances) == (256, 2)
    assert option_of(after, "--ctx-size") == {"512"}
    assert answers(again, again.key("k", Scope.INFERENCE), after)
