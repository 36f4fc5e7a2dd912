"""A box whose GPU others fill, so that there is no room for one instance more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from hydra_box.messages import DeployRequest, EditRequest, ServiceView
from hydra_box.plan.availability import gpu_reserve
from tests.boxes import RunningBox
from tests.e2e.rollouts import pids
from tests.fakes.engine import install_as_built
from tests.fakes.nvml_machine import FakeNvml
from tests.machines import gpu, machine
from tests.waiting import INTERVAL_SECONDS

TOTAL_MIB = 6144


class Driver:
    """Has the GPU's memory held by the engines that live, as a driver would, and by others."""

    def __init__(self, box: RunningBox, nvml: FakeNvml, uuid: str, each: int, others: int) -> None:
        self._box, self._nvml, self._uuid = box, nvml, uuid
        self._each, self._others = each, others
        self._watched: int | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="driver")

    def __enter__(self) -> Driver:
        self._look()
        self._thread.start()
        return self

    def take_what_ends(self, pid: int) -> None:
        """Have others take what this engine holds, the moment that it ends."""
        self._watched = pid

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(INTERVAL_SECONDS):
            self._look()

    def _look(self) -> None:
        engines = pids(self._box.client.service("tight"))
        # One that has just ended may be listed still: what it held is never nobody's.
        living = {pid for pid in engines if pid and psutil.pid_exists(pid)}
        held = [(pid, self._each) for pid in living]
        taken = self._each if self._watched and self._watched not in living else 0
        self._nvml.hold(self._uuid, *held, (1, self._others + taken))


@dataclass(frozen=True)
class OneGpu:
    """A box with one GPU of a fake machine, under the real pynvml, and a fake llama.cpp for it."""

    box: RunningBox
    nvml: FakeNvml

    def deploy(self, instances: int) -> ServiceView:
        """A service with two slots of 512 tokens an instance."""
        request = DeployRequest(
            model="demo", name="tight", instances=instances, context_length=512, concurrency=2
        )
        return self.box.deploy(request)

    def release(self) -> None:
        """Let nobody hold anything of the GPU any more."""
        (card,) = self.box.client.machine().gpus
        self.nvml.hold(card.uuid)

    def fill(self, view: ServiceView) -> Driver:
        """Let others hold so much that beside the instances half of what one needs is free."""
        (card,) = self.box.client.machine().gpus
        plan = self.box.client.plan_edit("tight", EditRequest())
        (device,) = [one for one in plan.devices if one.device == card.uuid]
        each = device.predicted_bytes // len(view.instances)
        room = len(view.instances) * each + each // 2
        others = card.free_bytes - gpu_reserve(card.total_bytes) - room
        return Driver(self.box, self.nvml, card.uuid, each, others)


@contextmanager
def one_gpu_box(home: Path, directory: Path) -> Iterator[OneGpu]:
    """Such a box on a state directory, with the fake machine's file in another."""
    card = gpu("NVIDIA GeForce GTX 1660", TOTAL_MIB, (7, 5))
    nvml = FakeNvml(directory, machine(card, ram_gib=16, free_ram_gib=12))
    (home / "engines").mkdir(mode=0o700, parents=True)
    home.chmod(0o700)
    install_as_built(home / "engines", accelerator="cuda")
    box = RunningBox(home, nvml.environ)
    box.wait_verified()
    yield OneGpu(box=box, nvml=nvml)
    assert box.stop() == 0
