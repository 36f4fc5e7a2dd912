"""The life of a service on real engines: deployed, scaled, struck, drained, deleted."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import Sequence
from typing import Any

import psutil

from hydra_box.messages import DeployRequest, InstanceView
from hydra_box.types import InstanceState, Scope
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.e2e.commands import run, run_json
from tests.e2e.streams import chat, leave, open_stream, read_whole
from tests.waiting import eventually

CHATS = 60
LONG_TOKENS = 1900
"""Nearly the whole context: seconds even of so fast a model, in which somebody may look."""


def ready_pids(box: RunningBox, name: str) -> set[int]:
    view = box.client.service(name)
    ready = (one for one in view.instances if one.state is InstanceState.READY)
    return {one.pid for one in ready if one.pid is not None}


def rows(box: RunningBox) -> int:
    with sqlite3.connect(f"file:{box.paths.database}?mode=ro", uri=True) as db:
        counts = [
            db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("services", "instances")
        ]
    db.close()
    return sum(counts)


def all_busy(box: RunningBox, name: str, requests: Sequence[asyncio.Task[Any]]) -> bool:
    """Whether every instance has a request, or all are over before a busy machine looked."""
    instances = box.client.service(name).instances
    busy = all(one.requests_in_flight > 0 for one in instances)
    return busy or all(one.done() for one in requests)


async def test_scale_strike_drain_and_delete(start_box: StartBox) -> None:
    box = start_box(drain_timeout_seconds=300)
    deployed = run_json(box, "deploy", "demo", "--name", "story", "--wait")
    model = deployed["access_name"]
    assert deployed["status"] == "RUNNING"
    run_json(box, "scale", "story", "--instances", "3")
    await asyncio.to_thread(box.wait_running, "story")
    key = box.key("chats", Scope.INFERENCE)
    pids = ready_pids(box, "story")
    assert len(pids) == 3

    # 60 chats at once reach all three engines, and the death of one loses none of them.
    body = chat(model, max_tokens=150, ignore_eos=True)
    chats = [asyncio.create_task(read_whole(box.url, key, body)) for _ in range(CHATS)]
    await asyncio.to_thread(
        eventually, lambda: all_busy(box, "story", chats), what="all three are busy"
    )
    victim = min(pids)
    os.kill(victim, signal.SIGKILL)
    answers = await asyncio.gather(*chats)
    assert [status for status, _ in answers] == [200] * CHATS

    def healed() -> set[int]:
        now = ready_pids(box, "story")
        return now if len(now) == 3 and victim not in now else set()

    pids = await asyncio.to_thread(eventually, healed, what="three are ready again")
    assert sum(one.restarts for one in box.client.service("story").instances) == 1

    await scale_down_while_streaming(box, key, model)
    await delete_while_streaming(box, key, model, pids)


async def scale_down_while_streaming(box: RunningBox, key: str, model: str) -> None:
    """Streams that run on all three instances finish, though two are to go."""
    body = chat(model, max_tokens=LONG_TOKENS, ignore_eos=True, stream=True)
    streams = [asyncio.create_task(read_whole(box.url, key, body)) for _ in range(6)]
    await asyncio.to_thread(
        eventually, lambda: all_busy(box, "story", streams), what="all three stream"
    )
    run_json(box, "scale", "story", "--instances", "1")
    for status, answer in await asyncio.gather(*streams):
        assert status == 200
        assert b"data: [DONE]" in answer
        assert b'"error"' not in answer

    def alone() -> tuple[InstanceView, ...]:
        instances = box.client.service("story").instances
        return instances if len(instances) == 1 else ()

    await asyncio.to_thread(eventually, alone, what="one instance is left")


async def delete_while_streaming(box: RunningBox, key: str, model: str, pids: set[int]) -> None:
    body = chat(model, max_tokens=300, ignore_eos=True, stream=True)
    reader, writer = await open_stream(box.url, key, body)
    first = await reader.readuntil(b"data: ")
    deleting = asyncio.create_task(asyncio.to_thread(delete, box, pids))
    rest = await reader.read()
    await leave(writer)
    assert b"data: [DONE]" in first + rest
    await deleting


def delete(box: RunningBox, pids: set[int]) -> None:
    refused = run(box, "delete", "story", "--confirm", "other")
    assert refused.returncode == 2
    assert "'other' is not the name of the service to delete, 'story'" in refused.stderr
    assert ready_pids(box, "story")
    run_json(box, "delete", "story", "--confirm", "story")
    eventually(lambda: not box.client.services(), what="the service is gone")
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert list(box.paths.instances.iterdir()) == []
    assert rows(box) == 0
    assert [path.name for path in box.paths.logs.glob("story-*")] == []


async def test_a_stopped_service_starts_again_and_a_stream_outlives_the_stop(
    start_box: StartBox,
) -> None:
    box = start_box(drain_timeout_seconds=300)
    view = await asyncio.to_thread(box.deploy, DeployRequest(model="demo"))
    key = box.key("k", Scope.INFERENCE)
    body = chat(view.access_name, max_tokens=500, ignore_eos=True, stream=True)
    reader, writer = await open_stream(box.url, key, body)
    first = await reader.readuntil(b"data: ")
    stopped = await asyncio.to_thread(run_json, box, "stop", "demo")
    assert stopped["status"] == "STOPPED"
    rest = await reader.read()
    await leave(writer)
    assert b"data: [DONE]" in first + rest

    status, answer = await read_whole(box.url, key, chat(view.access_name))
    assert status == 503
    assert b"is stopped" in answer
    assert b"hydra-box start demo" in answer
    await asyncio.to_thread(run_json, box, "start", "demo")
    await asyncio.to_thread(box.wait_running, "demo")
    status, _ = await read_whole(box.url, key, chat(view.access_name, max_tokens=5))
    assert status == 200
