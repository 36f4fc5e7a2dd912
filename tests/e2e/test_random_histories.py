"""Random histories of a whole box: whatever happened, it ends up as it should be."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from hydra_box.errors import Conflict, NotFound
from hydra_box.messages import DeployRequest, ScaleRequest, ServiceView
from hydra_box.process import find_leftovers
from hydra_box.types import InstanceState, ServiceStatus
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.fakes import engine
from tests.models.tiny_gguf import write_tiny_gguf
from tests.waiting import eventually

NAMES = ("red", "green", "blue")
STEPS = 60


class History:
    """Takes random steps with a box, and knows what it asked for."""

    def __init__(self, box: RunningBox, model: Path, seed: int) -> None:
        self.box = box
        self.model = model
        self.random = random.Random(seed)
        self.steps: list[str] = []

    def step(self) -> None:
        """Do one thing that an owner or bad luck does."""
        actions: tuple[tuple[int, Callable[[str], object]], ...] = (
            (4, self.deploy),
            (4, self.scale),
            (2, self.stop),
            (2, self.start),
            (2, self.delete),
            (4, self.kill_an_engine),
        )
        weights, choices = zip(*actions, strict=True)
        action = self.random.choices(choices, weights)[0]
        name = self.random.choice(NAMES)
        self.steps.append(f"{action.__name__} {name}")
        # What is not possible now is refused, and that is no fault.
        with suppress(Conflict, NotFound):
            action(name)

    def deploy(self, name: str) -> None:
        instances = self.random.randint(1, 3)
        self.box.client.deploy(DeployRequest(model=str(self.model), name=name, instances=instances))

    def scale(self, name: str) -> None:
        self.box.client.scale(name, ScaleRequest(instances=self.random.randint(1, 4)))

    def stop(self, name: str) -> None:
        self.box.client.stop(name)

    def start(self, name: str) -> None:
        self.box.client.start(name)

    def delete(self, name: str) -> None:
        self.box.client.delete(name, name)

    def kill_an_engine(self, name: str) -> None:
        pids = [one.pid for one in self.box.client.service(name).instances if one.pid]
        if pids:
            with suppress(ProcessLookupError):
                os.kill(self.random.choice(pids), signal.SIGKILL)


def settled(view: ServiceView) -> bool:
    """It is what its owner asked for, and nothing more is under way."""
    if view.status is ServiceStatus.STOPPED:
        return not view.instances
    ready = [one.state is InstanceState.READY for one in view.instances]
    return view.status is ServiceStatus.RUNNING and ready == [True] * view.desired_instances


def at_rest(box: RunningBox) -> bool:
    """Every service is settled, on the processes that there are; one just killed may be listed."""
    views = box.client.services()
    pids = {one.pid for view in views for one in view.instances}
    return all(map(settled, views)) and {one.pid for one in find_leftovers(box.home)} == pids


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_box_settles_after_any_history(
    home: Path, start_box: StartBox, tmp_path: Path, seed: int
) -> None:
    engine.install_as_built(home / "engines")
    box = start_box(drain_timeout_seconds=2)
    box.wait_verified()
    history = History(box, write_tiny_gguf(tmp_path / "model.gguf"), seed)
    for _ in range(STEPS):
        history.step()
    told = f"after {history.steps}"
    eventually(lambda: at_rest(box), 180, what=told)

    for view in box.client.services():
        box.client.delete(view.name, view.name)
    eventually(lambda: not box.client.services(), what=told)
    assert list(find_leftovers(box.home)) == [], told
    assert list(box.paths.instances.iterdir()) == [], told
    assert box.stop() == 0, box.output.read_text()
