"""Pinning another runtime while services run: what runs moves to it, or back from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydra_box.catalog import DEMO_MODEL
from hydra_box.errors import Conflict
from hydra_box.messages import DeployRequest, ServiceView
from hydra_box.types import Runtime, RuntimeSource, Scope
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.e2e.rollouts import attention, lost, pids, told, wait_told
from tests.fakes.engine import behave, install_as_built
from tests.faults.load import Load
from tests.waiting import eventually


def start(start_box: StartBox, home: Path) -> RunningBox:
    """A box with the bundled runtime, and a fake one that is preferred to it."""
    install_as_built(home / "engines")
    home.chmod(0o700)
    box = start_box()
    box.wait_verified()
    return box


def runtime(box: RunningBox, source: RuntimeSource) -> Runtime:
    (found,) = [one for one in box.client.engines() if one.source is source]
    return found


def deploy(box: RunningBox, model: Path, instances: int = 1) -> ServiceView:
    request = DeployRequest(
        model=str(model), name="moved", context_length=512, concurrency=2, instances=instances
    )
    return box.deploy(request)


def runtimes(view: ServiceView) -> set[str | None]:
    return {one.runtime for one in view.instances}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(DEMO_MODEL.read_bytes())
    return path


@pytest.mark.parametrize("instances", [1, 2])
def test_what_runs_moves_to_the_pinned_runtime_under_load(
    start_box: StartBox, home: Path, model: Path, instances: int
) -> None:
    box = start(start_box, home)
    built, bundled = (runtime(box, one) for one in (RuntimeSource.BUILT, RuntimeSource.BUNDLED))
    before = deploy(box, model, instances)
    assert runtimes(before) == {built.id}
    with Load(box.url, before.access_name, box.key("k", Scope.INFERENCE)) as load:
        pinned = box.client.pin_engine(bundled.id)
        assert (pinned.pinned, pinned.replaces) == (True, built.id)
        # It is not RUNNING before the last instance runs on it.
        after = box.wait_running("moved")
        load.wait_answered()
    assert lost(load) == set()
    assert runtimes(after) == {bundled.id}
    assert not pids(before) & pids(after)

    # What runs stays as it is when it is unpinned, and there is nothing to go back to any more.
    box.client.unpin_engine(bundled.id)
    assert runtime(box, RuntimeSource.BUNDLED).replaces is None
    assert pids(box.wait_running("moved")) == pids(after)


@pytest.mark.parametrize("instances", [1, 2])
def test_a_runtime_on_which_nothing_gets_ready_is_not_kept(
    start_box: StartBox, home: Path, model: Path, instances: int
) -> None:
    box = start(start_box, home)
    built, bundled = (runtime(box, one) for one in (RuntimeSource.BUILT, RuntimeSource.BUNDLED))
    box.client.pin_engine(bundled.id)
    before = deploy(box, model, instances)
    # It works on the demo model, and not on this one.
    behave(model, "--exit-at-once", "3")
    with Load(box.url, before.access_name, box.key("k", Scope.INFERENCE)) as load:
        box.client.pin_engine(built.id)
        why = wait_told(box, "runtime.rolled_back")
        after = box.wait_running("moved")
        load.wait_answered()
    assert lost(load) == set()
    assert why.startswith(f"{built.id} does not serve, {bundled.id} is pinned again: moved: ")
    assert pids(after) == pids(before)
    assert [one.id for one in box.client.engines() if one.pinned] == [bundled.id]
    assert attention(box) == [why]

    # Once it works there, what needed attention is over.
    behave(model)
    box.client.pin_engine(built.id)
    eventually(lambda: attention(box) == [], what="nothing needs attention")
    assert runtimes(box.wait_running("moved")) == {built.id}


def test_a_runtime_on_which_what_is_ready_dies_is_not_kept(
    start_box: StartBox, home: Path, model: Path
) -> None:
    box = start(start_box, home)
    built, bundled = (runtime(box, one) for one in (RuntimeSource.BUILT, RuntimeSource.BUNDLED))
    box.client.pin_engine(bundled.id)
    before = deploy(box, model)
    behave(model, "--crash-after", "1")
    with Load(box.url, before.access_name, box.key("k", Scope.INFERENCE)) as load:
        box.client.pin_engine(built.id)
        assert "SIGKILL" in wait_told(box, "runtime.rolled_back")
        box.wait_running("moved")
        load.wait_answered()
    assert runtimes(box.wait_running("moved")) == {bundled.id}
    assert [one.id for one in box.client.engines() if one.pinned] == [bundled.id]


def test_what_instances_ran_on_stays_until_it_is_sure(
    start_box: StartBox, home: Path, model: Path
) -> None:
    box = start(start_box, home)
    built, bundled = (runtime(box, one) for one in (RuntimeSource.BUILT, RuntimeSource.BUNDLED))
    before = deploy(box, model)
    assert runtimes(before) == {built.id}
    home_of_built = Path(built.location)
    box.client.pin_engine(bundled.id)
    with pytest.raises(Conflict, match=f"{built.id} is used again if {bundled.id} does not"):
        box.client.remove_engine(built.id)
    box.wait_running("moved")
    # They could die of the first request.
    with pytest.raises(Conflict, match="is used again"):
        box.client.remove_engine(built.id)
    box.client.unpin_engine(bundled.id)
    box.client.remove_engine(built.id)
    assert not home_of_built.exists()
    assert told(box, "runtime.rolled_back") == []


def test_a_service_that_never_ran_says_nothing_of_a_runtime(
    start_box: StartBox, home: Path, model: Path
) -> None:
    box = start(start_box, home)
    built = runtime(box, RuntimeSource.BUILT)
    behave(model, "--exit-at-once", "3")
    box.client.deploy(DeployRequest(model=str(model), name="broken", context_length=512))

    def tried() -> bool:
        (one,) = box.client.service("broken").instances or [None]
        return one is not None and one.restarts >= 2

    pinned = box.client.pin_engine(built.id)
    assert (pinned.pinned, pinned.replaces) == (True, None)
    eventually(tried, what="it has failed more than once")
    assert runtime(box, RuntimeSource.BUILT).pinned
    assert told(box, "runtime.rolled_back") == []
