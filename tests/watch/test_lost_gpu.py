"""A real daemon whose GPU is lost and comes back: refused with a reason, and never on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from hydra_box.messages import DeployRequest, ServiceView
from hydra_box.types import InstanceState, Machine, Scope, Severity
from tests.boxes import RunningBox
from tests.fakes.engine import install_as_built
from tests.fakes.nvml_machine import FakeNvml
from tests.machines import gpu, machine
from tests.waiting import PATIENCE_SECONDS, eventually

NAME = "GPU 0 (NVIDIA GeForce GTX 1660)"


@dataclass
class GpuBox:
    """A daemon on a machine with one GPU, an engine for it, and one for the CPU."""

    home: Path
    nvml: FakeNvml
    there: Machine
    box: RunningBox

    @property
    def uuid(self) -> str:
        return self.there.gpus[0].uuid

    def restart(self) -> None:
        """Another daemon on the same state."""
        assert self.box.stop() == 0
        self.box = RunningBox(self.home, self.nvml.environ)

    def chat(self, view: ServiceView, key: str) -> httpx.Response:
        return httpx.post(
            f"{self.box.url}/v1/chat/completions",
            headers={"Authorization": f"Bearer {key}"},
            json={"model": view.access_name, "messages": [{"role": "user", "content": "hi"}]},
            timeout=PATIENCE_SECONDS,
        )

    def alarms(self) -> list[str]:
        """The kinds of the events of alarms that name the GPU."""
        events = self.box.client.recent_events()
        return [one.kind for one in events if one.kind.startswith("alarm.") and NAME in one.message]

    def waits(self) -> bool:
        return "it waits for a GPU" in (self.box.client.service("lit").reason or "")


@pytest.fixture
def gpu_box(home: Path, tmp_path: Path) -> Iterator[GpuBox]:
    there = machine(gpu("NVIDIA GeForce GTX 1660", 6144, (7, 5)), ram_gib=16, free_ram_gib=12)
    nvml = FakeNvml(tmp_path, there)
    (home / "engines").mkdir(mode=0o700, parents=True)
    home.chmod(0o700)
    install_as_built(home / "engines", accelerator="cuda")
    # A service that waits counts as one that dies; how often it tries depends on the time it waits.
    environ = {**nvml.environ, "HYDRA_BOX_RESTARTS_ALARM_COUNT": "1000"}
    box = GpuBox(home, nvml, there, RunningBox(home, environ))
    box.box.wait_verified()
    yield box
    assert box.box.stop() == 0


def test_a_lost_gpu_refuses_requests_and_serves_again_when_it_is_back(gpu_box: GpuBox) -> None:
    box = gpu_box.box
    view = box.deploy(DeployRequest(model="demo", name="lit"))
    (instance,) = view.instances
    assert instance.device == gpu_box.uuid
    assert instance.pid is not None
    key = box.key("k", Scope.INFERENCE)
    assert gpu_box.chat(view, key).status_code == 200

    # Whoever has looked twice listens to what the driver reports.
    for _ in range(2):
        assert box.client.machine().gpu_faults == ()
    gpu_box.nvml.report(gpu_box.uuid, 79)
    gpu_box.nvml.lose(gpu_box.uuid)

    def is_away() -> bool:
        now = box.client.service("lit")
        return now.ready_instances == 0 and NAME in (now.reason or "")

    eventually(is_away, what="its instance is gone")
    assert not psutil.pid_exists(instance.pid)

    def is_refused() -> bool:
        answer = gpu_box.chat(view, key)
        told = answer.json()["error"]["message"]
        return answer.status_code == 503 and "has fallen off the bus" in told and NAME in told

    eventually(is_refused, what="requests are refused with the reason")
    (attention, *_) = box.client.status().attention
    assert attention.message == f"{NAME} has fallen off the bus"

    # However often it is tried, it does not give up, and the CPU does not take its place.
    def has_tried() -> bool:
        (now,) = box.client.service("lit").instances
        assert now.pid is None
        return now.restarts >= 3 and now.state is InstanceState.BACKOFF

    eventually(has_tried, what="it was tried again")
    eventually(gpu_box.waits, what="it waits")

    gpu_box.nvml.become(gpu_box.there)
    back = box.wait_running("lit")
    assert back.instances[0].device == gpu_box.uuid
    assert gpu_box.chat(view, key).status_code == 200
    assert box.client.status().attention == ()
    eventually(lambda: "alarm.cleared" in gpu_box.alarms(), what="its alarm is told to be over")
    assert gpu_box.alarms() == ["alarm.raised", "alarm.cleared"]
    (reported,) = (one for one in box.client.recent_events() if one.kind == "gpu.xid")
    assert reported.severity is Severity.ERROR
    assert reported.message.startswith(f"{NAME} reports Xid 79: it has fallen off the bus; hint: ")


def test_a_daemon_that_starts_without_the_gpu_waits_for_it(gpu_box: GpuBox) -> None:
    gpu_box.box.deploy(DeployRequest(model="demo", name="lit"))
    gpu_box.nvml.remove(gpu_box.uuid)
    gpu_box.restart()
    eventually(gpu_box.waits, what="it waits")
    gpu_box.nvml.become(gpu_box.there)
    (instance,) = gpu_box.box.wait_running("lit").instances
    assert instance.device == gpu_box.uuid


def test_a_hot_gpu_needs_attention_until_it_is_cool(gpu_box: GpuBox) -> None:
    def attention() -> list[str]:
        return [one.message for one in gpu_box.box.client.status().attention]

    gpu_box.nvml.change(gpu_box.uuid, temperature_celsius=95, slowdown_celsius=93)
    gpu_box.nvml.become(gpu_box.nvml.machine)
    gpu_box.restart()
    hot = f"{NAME} is at 95 °C; it slows down from 93 °C on"
    eventually(lambda: attention() == [hot], what="the heat is told")
    gpu_box.nvml.change(gpu_box.uuid, temperature_celsius=60)
    eventually(lambda: attention() == [], what="it is cool")
