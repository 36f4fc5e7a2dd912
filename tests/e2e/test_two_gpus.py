"""Two GPUs of a fake machine, under the real pynvml: who gets which, and what says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from hydra_box.errors import DoesNotFit
from hydra_box.messages import DeployRequest, PlanRequest, ScaleRequest
from hydra_box.types import InstanceState
from tests.boxes import RunningBox
from tests.fakes.engine import install_as_built
from tests.fakes.nvml_machine import FakeNvml
from tests.machines import MIB, gpu, machine
from tests.waiting import eventually


@dataclass(frozen=True)
class TwoGpus:
    """A daemon on a machine with two GPUs and a runtime that computes on them."""

    box: RunningBox
    nvml: FakeNvml

    @property
    def uuids(self) -> list[str]:
        return [one.uuid for one in self.box.client.machine().gpus]


@pytest.fixture
def two_gpus(home: Path, tmp_path: Path) -> Iterator[TwoGpus]:
    cards = [gpu("NVIDIA GeForce GTX 1660", 6144, (7, 5), index=index) for index in range(2)]
    nvml = FakeNvml(tmp_path, machine(*cards, ram_gib=16, free_ram_gib=12))
    (home / "engines").mkdir(mode=0o700, parents=True)
    home.chmod(0o700)
    install_as_built(home / "engines", accelerator="cuda")
    box = RunningBox(home, nvml.environ)
    box.wait_verified()
    yield TwoGpus(box=box, nvml=nvml)
    assert box.stop() == 0


def visible_devices(pid: int) -> str:
    return psutil.Process(pid).environ()["CUDA_VISIBLE_DEVICES"]


def test_two_instances_get_a_gpu_each_and_their_environment_shows_it(two_gpus: TwoGpus) -> None:
    box, uuids = two_gpus.box, set(two_gpus.uuids)
    assert len(uuids) == 2
    view = box.deploy(DeployRequest(model="demo", name="pair", instances=2))
    assert {one.device for one in view.instances} == uuids
    for one in view.instances:
        assert one.pid is not None
        assert visible_devices(one.pid) == one.device

    # One that dies comes back on the device that is free again.
    victim = view.instances[0]
    assert victim.pid is not None
    psutil.Process(victim.pid).kill()

    def back() -> bool:
        now = box.client.service("pair").instances
        ready = all(one.state is InstanceState.READY for one in now)
        return ready and any(one.restarts == 1 for one in now)

    eventually(back, what="the killed instance is back")
    assert {one.device for one in box.client.service("pair").instances} == uuids


def test_memory_that_others_hold_is_left_to_them(two_gpus: TwoGpus) -> None:
    first, second = two_gpus.uuids
    two_gpus.nvml.hold(first, (1, 5600 * MIB))
    view = two_gpus.box.deploy(DeployRequest(model="demo", name="pair", instances=2))
    assert [one.device for one in view.instances] == [second, second]


def test_an_instance_without_room_waits_and_comes_back_when_there_is(two_gpus: TwoGpus) -> None:
    box = two_gpus.box
    (instance,) = box.deploy(DeployRequest(model="demo", name="alone")).instances
    for uuid in two_gpus.uuids:
        two_gpus.nvml.hold(uuid, (1, 5600 * MIB))
    assert instance.pid is not None
    psutil.Process(instance.pid).kill()

    def waits() -> bool:
        (now,) = box.client.service("alone").instances
        return now.state is InstanceState.BACKOFF and "needs" in (now.reason or "")

    eventually(waits, what="it waits for room, and says for how much")
    for uuid in two_gpus.uuids:
        two_gpus.nvml.hold(uuid)
    box.wait_running("alone")


def test_more_than_fits_is_refused_and_changes_nothing(two_gpus: TwoGpus) -> None:
    box = two_gpus.box
    for uuid in two_gpus.uuids:
        two_gpus.nvml.hold(uuid, (1, 4000 * MIB))
    most = box.client.plan(PlanRequest(model="demo")).most_instances
    assert 2 <= most < 64
    box.deploy(DeployRequest(model="demo", name="pair", instances=2))
    with pytest.raises(DoesNotFit) as error:
        box.client.scale("pair", ScaleRequest(instances=64))
    assert error.value.hint
    assert box.client.service("pair").desired_instances == 2


def test_the_cpu_takes_the_place_of_a_gpu_only_when_told_so(two_gpus: TwoGpus) -> None:
    box = two_gpus.box
    for uuid in two_gpus.uuids:
        two_gpus.nvml.lose(uuid)
    lost = box.client.plan(PlanRequest(model="demo"))
    assert not lost.fits
    assert any(one.ask.device == "cpu" for one in lost.alternatives)
    told = box.client.plan(PlanRequest(model="demo", device="cpu"))
    assert told.fits
    assert told.placements[0].device == "cpu"
