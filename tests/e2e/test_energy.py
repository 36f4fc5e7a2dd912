"""The energy of a fake GPU, under the real pynvml, in the books of a real daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hydra_box.messages import DeployRequest, UsageBy, UsageFormat
from hydra_box.types import Scope
from tests.boxes import RunningBox
from tests.e2e.commands import run
from tests.fakes.engine import install_as_built
from tests.fakes.nvml_machine import FakeNvml
from tests.machines import gpu, machine


@pytest.fixture
def gpu_box(home: Path, tmp_path: Path) -> Iterator[RunningBox]:
    """A daemon on a machine with a GPU that draws 30 W, and an engine that takes its time."""
    card = gpu("NVIDIA GeForce GTX 1660", 6144, (7, 5))
    nvml = FakeNvml(tmp_path, machine(card, ram_gib=16, free_ram_gib=12))
    (home / "engines").mkdir(mode=0o700, parents=True)
    home.chmod(0o700)
    slowly = ("--chunks", "5", "--chunk-delay", "0.3")
    install_as_built(home / "engines", *slowly, accelerator="cuda")
    box = RunningBox(home, nvml.environ)
    box.wait_verified()
    yield box
    assert box.stop() == 0


def ask(box: RunningBox, model: str, key: str) -> str:
    """Read a stream to its end; the request's id."""
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx.post(
        f"{box.url}/v1/chat/completions", json=body, headers=headers, timeout=60, trust_env=False
    )
    assert answer.status_code == 200
    return answer.headers["x-request-id"]


def requests(box: RunningBox) -> dict[str, Any]:
    """Every request that is stored, by its id."""
    text = "".join(box.client.usage_requests(UsageFormat.JSON))
    return {one["id"]: one for one in json.loads(text)["rows"]}


def test_what_a_gpu_draws_is_shared_by_those_who_made_it_work(gpu_box: RunningBox) -> None:
    box = gpu_box
    model = box.deploy(DeployRequest(model="demo", name="demo")).access_name
    assert box.client.usage(by=UsageBy.ALL).rows == ()
    key = box.key("app", Scope.INFERENCE)
    each = []
    for _ in range(2):
        id = ask(box, model, key)
        # Stored before the next begins. Else the first, stored in the middle of the second, might
        # be given all that was drawn but the last moment.
        each.append(requests(box)[id])
    assert all(one["energy_millijoules"] > 0 for one in each)
    # What the GPU draws before and after is nobody's.
    seconds = sum(one["duration_seconds"] for one in each)
    drawn = sum(one["energy_millijoules"] for one in requests(box).values())
    assert 0 < drawn < 2 * 30_000 * seconds
    report = box.client.usage(by=UsageBy.ALL)
    assert report.totals.energy_watt_hours == drawn / 3_600_000
    assert "WH" in run(box, "usage").stdout
