"""Real vLLM (on the CPU) and llama.cpp side by side: one endpoint, one client, one kind of key."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from hydra_box.client import Client
from hydra_box.messages import DeployRequest, ScaleRequest, ServiceView
from hydra_box.process import find_leftovers
from hydra_box.types import LOCAL_ENGINES, InstanceState, Runtime, Scope, ServiceStatus
from tests.boxes import RunningBox
from tests.e2e.streams import chat, read_whole
from tests.engines.real_runtimes import lend
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

START_SECONDS = 400.0
QUESTION = "What is your name?"


@pytest.fixture(scope="module")
def both(vllm_runtime: Runtime, short_directory: Path) -> Iterator[RunningBox]:
    """A daemon that has both engines, and the demo model on each."""
    home = short_directory / "both"
    home.mkdir(mode=0o700)
    box = RunningBox(home, {})
    # Its directories stand now; the runtime is found when it starts.
    assert box.stop() == 0
    lend(vllm_runtime, box.paths)
    box = RunningBox(home, {})
    try:
        for engine in LOCAL_ENGINES:
            name = f"on-{engine}".replace(".", "-")
            request = DeployRequest(
                model="demo", name=name, engine=engine, context_length=512, concurrency=2
            )
            box.client.deploy(request)
        for name in ("on-llama-cpp", "on-vllm"):
            wait_running(box.client, name)
        yield box
    finally:
        assert box.stop() == 0, box.output.read_text()


def wait_running(client: Client, name: str) -> ServiceView:
    def running() -> bool:
        view = client.service(name)
        assert view.status is not ServiceStatus.FAILED, f"{name} FAILED: {view.reason}"
        complete = view.ready_instances == view.desired_instances
        return view.status is ServiceStatus.RUNNING and complete

    eventually(running, START_SECONDS, what=f"{name} is RUNNING")
    return client.service(name)


def ask(box: RunningBox, key: str, service: str, **options: Any) -> dict[str, Any]:
    access_name = box.client.service(service).access_name
    status, answer = asyncio.run(
        read_whole(box.url, key, chat(access_name, QUESTION, temperature=0, **options))
    )
    assert status == 200, answer
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert body["model"] == access_name
    assert isinstance(body, dict)
    return body


def test_the_same_call_gets_the_same_answer_of_both(both: RunningBox) -> None:
    key = both.key("same-call", Scope.INFERENCE)
    answers = {
        one: ask(both, key, one, max_tokens=24)["choices"][0]["message"]["content"]
        for one in ("on-llama-cpp", "on-vllm")
    }
    assert "Hydra Box Demo" in answers["on-vllm"]
    assert answers["on-vllm"] == answers["on-llama-cpp"]


def test_both_keep_to_a_json_schema(both: RunningBox) -> None:
    key = both.key("schema", Scope.INFERENCE)
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    for one in ("on-llama-cpp", "on-vllm"):
        body = ask(both, key, one, max_tokens=64, response_format=form, frequency_penalty=1)
        assert isinstance(json.loads(body["choices"][0]["message"]["content"])["a"], int)


def test_the_same_fault_reads_the_same(both: RunningBox) -> None:
    key = both.key("fault", Scope.INFERENCE)
    long = "hello " * 2000
    errors = []
    for one in ("on-llama-cpp", "on-vllm"):
        access_name = both.client.service(one).access_name
        status, answer = asyncio.run(read_whole(both.url, key, chat(access_name, long)))
        assert status == 400
        errors.append(json.loads(answer.partition(b"\r\n\r\n")[2])["error"])
    assert {one["code"] for one in errors} == {"context_length_exceeded"}
    assert all("maximum context length is 512 tokens" in one["message"] for one in errors)


def test_vllm_is_planned_measured_and_shown(both: RunningBox) -> None:
    (instance,) = both.client.service("on-vllm").instances
    eventually(lambda: both.client.service("on-vllm").instances[0].memory, what="measured")
    (memory,) = both.client.service("on-vllm").instances[0].memory
    assert memory.device == instance.device == "cpu"
    assert 0 < memory.measured_bytes <= memory.predicted_bytes


def test_vllm_scales_heals_and_leaves_nothing(both: RunningBox) -> None:
    client = both.client
    client.scale("on-vllm", ScaleRequest(instances=2))
    view = wait_running(client, "on-vllm")
    pids = [one.pid for one in view.instances]
    assert len(set(pids)) == 2
    key = both.key("scaled", Scope.INFERENCE)
    assert ask(both, key, "on-vllm", max_tokens=8)["usage"]["completion_tokens"] > 0

    # Its leader dies by force: its workers go with it, and the other instance goes on serving.
    victim = view.instances[0]
    assert victim.pid is not None
    workers = psutil.Process(victim.pid).children(recursive=True)
    assert workers
    os.kill(victim.pid, signal.SIGKILL)
    eventually(lambda: not any(alive(one) for one in workers), what="its workers are gone")
    assert ask(both, key, "on-vllm", max_tokens=8)["usage"]["completion_tokens"] > 0
    eventually(lambda: restarts(client, victim.id) == 1, what="it is started again")

    client.delete("on-vllm", "on-vllm")
    eventually(
        lambda: [one.name for one in client.services()] == ["on-llama-cpp"],
        120,
        what="on-vllm is deleted",
    )
    (left,) = client.service("on-llama-cpp").instances
    assert left.state is InstanceState.READY
    eventually(lambda: ours(both) == {left.pid}, what="only llama.cpp's process is left")


def restarts(client: Client, instance_id: str) -> int:
    found = [one for one in client.service("on-vllm").instances if one.id == instance_id]
    return found[0].restarts if found else -1


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ours(box: RunningBox) -> set[int]:
    return {one.pid for one in find_leftovers(box.home) if alive(one)}
