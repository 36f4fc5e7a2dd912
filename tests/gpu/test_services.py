"""Services on a real GPU: where they are, what they take and draw, and who survives whom."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pynvml
import pytest

from hydra_box.messages import DeployRequest, EditRequest, InstanceView, UsageBy
from hydra_box.types import Gpu, GpuProcess, Scope, ServiceStatus
from tests.boxes import RunningBox
from tests.e2e.commands import run_json
from tests.waiting import eventually

ANSWER_TOKENS = 200


def the_instance(box: RunningBox) -> InstanceView:
    """The one of ``demo``, once it serves."""
    (found,) = box.wait_running("demo").instances
    return found


def on_the_gpu(box: RunningBox) -> dict[int, GpuProcess]:
    """The processes that hold its memory, by their pids."""
    return {one.pid: one for gpu in box.client.machine().gpus for one in gpu.processes}


def ask(box: RunningBox, key: str, tokens: int = ANSWER_TOKENS) -> httpx.Response:
    """One request to ``demo``, read to its end."""
    return httpx.post(
        f"{box.url}/v1/chat/completions",
        json={
            "model": box.client.service("demo").access_name,
            "messages": [{"role": "user", "content": "Tell me a long story."}],
            "max_tokens": tokens,
        },
        headers={"Authorization": f"Bearer {key}"},
        timeout=60,
        trust_env=False,
    )


@pytest.fixture
def key(gpu_box: RunningBox, request: pytest.FixtureRequest) -> str:
    """A new key that may call models."""
    return gpu_box.key(str(request.node.name)[:64], Scope.INFERENCE)


def test_it_is_on_the_gpu_and_takes_no_more_than_planned(
    gpu_box: RunningBox, key: str, card: Gpu
) -> None:
    instance = the_instance(gpu_box)
    assert instance.device == card.uuid
    answer = ask(gpu_box, key)
    assert answer.status_code == 200, answer.text

    def measured() -> InstanceView | None:
        found = the_instance(gpu_box)
        return found if found.memory else None

    found = eventually(measured, what="its memory is measured")
    assert found is not None
    taken = {one.device: one for one in found.memory}
    assert set(taken) == {card.uuid, "cpu"}
    assert 0 < taken[card.uuid].measured_bytes <= taken[card.uuid].predicted_bytes
    assert found.pid is not None
    now = on_the_gpu(gpu_box)[found.pid].used_bytes
    # It grows a little with the first requests.
    assert now is not None
    assert taken[card.uuid].measured_bytes <= now <= taken[card.uuid].predicted_bytes


@contextmanager
def energy_counted(card: Gpu, counted: list[int]) -> Iterator[None]:
    """Append the millijoules that the GPU's own counter shows for this while."""
    pynvml.nvmlInit()
    try:
        handle = pynvml.nvmlDeviceGetHandleByUUID(card.uuid)
        before = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        yield
        counted.append(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) - before)
    finally:
        pynvml.nvmlShutdown()


def test_what_it_draws_is_in_the_books_and_no_more_than_its_own_counter_has(
    gpu_box: RunningBox, key: str, card: Gpu
) -> None:
    def booked() -> float | None:
        rows = gpu_box.client.usage(by=UsageBy.KEY).rows
        (row,) = (one for one in rows if one.name.startswith("test_what_it_draws"))
        return row.energy_watt_hours if row.requests == 20 else None

    counted: list[int] = []
    with energy_counted(card, counted):
        for _ in range(20):
            assert ask(gpu_box, key).status_code == 200
        watt_hours = eventually(booked, what="its energy is in the books")
    assert watt_hours is not None
    share = watt_hours * 3_600_000 / counted[0]
    print(f"{watt_hours * 3600:.0f} J in the books, {counted[0] / 1000:.0f} J by its own counter")
    assert 0 < share < 1.1


def test_an_engine_that_is_killed_comes_back_on_the_gpu(
    gpu_box: RunningBox, key: str, card: Gpu
) -> None:
    victim = the_instance(gpu_box)
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    assert ask(gpu_box, key).status_code == 200
    now = the_instance(gpu_box)
    assert now.pid not in (None, victim.pid)
    assert now.device == card.uuid
    eventually(lambda: set(on_the_gpu(gpu_box)) == {now.pid}, what="only the new one is on the GPU")


def test_an_engine_outlives_a_daemon_that_is_killed(gpu_box: RunningBox, key: str) -> None:
    before = the_instance(gpu_box)
    gpu_box.process.kill()
    gpu_box.process.wait()
    again = RunningBox(gpu_box.home, {})
    try:
        assert ask(again, key).status_code == 200
        after = the_instance(again)
        assert (after.pid, after.restarts) == (before.pid, before.restarts)
        assert set(on_the_gpu(again)) == {before.pid}
    finally:
        again.stop()


def test_one_that_sleeps_gives_the_memory_back(gpu_box: RunningBox, key: str) -> None:
    awake = the_instance(gpu_box)
    gpu_box.client.edit("demo", EditRequest(idle_timeout_seconds=1))
    eventually(lambda: gpu_box.client.service("demo").asleep, what="it sleeps")
    eventually(lambda: not on_the_gpu(gpu_box), what="the GPU's memory is free")
    gpu_box.client.edit("demo", EditRequest(idle_timeout_seconds=0))
    assert ask(gpu_box, key).status_code == 200
    assert the_instance(gpu_box).pid != awake.pid


def test_its_readings_are_in_the_metrics(gpu_box: RunningBox, card: Gpu) -> None:
    admin = gpu_box.key("metrics", Scope.ADMIN)
    headers = {"Authorization": f"Bearer {admin}"}
    text = httpx.get(f"{gpu_box.url}/metrics", headers=headers, trust_env=False).text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if card.uuid in line)
    kinds = {line.partition("{")[0]: float(value) for line, value in values.items()}
    assert kinds["hydra_box_gpu_memory_total_bytes"] == card.total_bytes
    assert kinds["hydra_box_gpu_processes"] == 1
    assert kinds["hydra_box_gpu_power_watts"] > 0


def test_two_instances_share_it(gpu_box: RunningBox, key: str, card: Gpu) -> None:
    view = gpu_box.deploy(DeployRequest(model="demo", name="two", instances=2))
    assert {one.device for one in view.instances} == {card.uuid}
    pids = {one.pid for one in view.instances} | {the_instance(gpu_box).pid}
    assert set(on_the_gpu(gpu_box)) == pids
    gpu_box.client.delete("two", "two")
    left = {the_instance(gpu_box).pid}
    eventually(lambda: set(on_the_gpu(gpu_box)) == left, what="their memory is free")


def test_the_doctor_finds_nothing_wrong_with_it(gpu_box: RunningBox, card: Gpu) -> None:
    findings = run_json(gpu_box, "doctor")["findings"]
    about = [one for one in findings if card.name in str(one) or "GPU" in one["check"]]
    assert about, findings
    assert all(one["severity"] == "info" for one in about), about


PROGRAM = """
__global__ void write(int *there) { *there = 1; }
int main() {
    write<<<1, 1>>>((int *)8);
    return cudaDeviceSynchronize() == cudaSuccess;
}
"""


def test_a_programs_fault_is_told_and_the_engine_goes_on(
    gpu_box: RunningBox, key: str, nvcc: str, tmp_path: Path
) -> None:
    source = tmp_path / "fault.cu"
    source.write_text(PROGRAM)
    subprocess.run((nvcc, "-arch=native", "-o", tmp_path / "fault", source), check=True)
    before = the_instance(gpu_box)
    subprocess.run((tmp_path / "fault",), check=True)

    def told() -> list[str]:
        return [one.message for one in gpu_box.client.recent_events() if one.kind == "gpu.xid"]

    (message, *_) = eventually(told, what="the Xid is told")
    assert "reports Xid 31" in message or "reports Xid 13" in message
    assert ask(gpu_box, key).status_code == 200
    assert the_instance(gpu_box).pid == before.pid
    assert gpu_box.client.service("demo").status is ServiceStatus.RUNNING
