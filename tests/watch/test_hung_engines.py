"""A real daemon whose real engines hang: they are replaced, and nobody who waits loses anything."""

from __future__ import annotations

import asyncio
import os
import signal

import psutil
import pytest

from hydra_box.engines import ENGINES
from hydra_box.errors import EngineError
from hydra_box.messages import DeployRequest, InstanceView, ServiceView
from hydra_box.types import EngineName, Event, InstanceState, Scope
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.e2e.streams import chat, read_whole
from tests.waiting import eventually

HANG_SECONDS = 2
PROBE_SECONDS = 2
REQUESTS = 24


def pids(view: ServiceView) -> set[int]:
    """Those of the instances that are ready."""
    return {one.pid for one in view.instances if one.state is InstanceState.READY and one.pid}


def kinds(box: RunningBox) -> list[str]:
    """The kinds of all events, oldest first."""
    return [one.kind for one in box.client.recent_events()]


def exits(box: RunningBox) -> list[Event]:
    """Which ends of instances were told: once there is one, since events are stored behind."""
    return eventually(
        lambda: [one for one in box.client.recent_events() if one.kind == "instance.exited"],
        what="an end is told",
    )


def completion_tokens(box: RunningBox, instance: InstanceView) -> float:
    """What the engine itself says that it has written."""
    socket_path = box.paths.instance_socket(instance.id)
    found = eventually(
        lambda: asyncio.run(ENGINES[EngineName.LLAMA_CPP].metrics(socket_path)),
        what="the engine tells",
        ignoring=(EngineError,),
    )
    assert found.completion_tokens is not None
    return found.completion_tokens


async def test_an_engine_that_hangs_is_replaced_and_no_request_is_lost(
    start_box: StartBox,
) -> None:
    box = start_box(hang_timeout_seconds=HANG_SECONDS)
    view = await asyncio.to_thread(
        box.deploy, DeployRequest(model="demo", name="pair", instances=2, concurrency=2)
    )
    key = box.key("k", Scope.INFERENCE)
    victim = min(pids(view))
    os.kill(victim, signal.SIGSTOP)
    body = chat(view.access_name, max_tokens=20)
    answers = await asyncio.gather(*(read_whole(box.url, key, body) for _ in range(REQUESTS)))
    assert [status for status, _ in answers] == [200] * REQUESTS

    def healed() -> set[int]:
        now = pids(box.client.service("pair"))
        return now if len(now) == 2 and victim not in now else set()

    await asyncio.to_thread(eventually, healed, what="two are ready again")
    assert not psutil.pid_exists(victim)
    (exited,) = await asyncio.to_thread(exits, box)
    assert "no token came and no work was done" in exited.message
    assert "instance.suspect" in await asyncio.to_thread(kinds, box)


async def test_who_waits_for_the_only_engine_gets_the_answer_of_its_successor(
    start_box: StartBox,
) -> None:
    box = start_box(hang_timeout_seconds=HANG_SECONDS)
    view = await asyncio.to_thread(box.deploy, DeployRequest(model="demo", name="lone"))
    key = box.key("k", Scope.INFERENCE)
    (victim,) = pids(view)
    os.kill(victim, signal.SIGSTOP)
    body = chat(view.access_name, max_tokens=20)
    answers = await asyncio.gather(*(read_whole(box.url, key, body) for _ in range(4)))
    assert [status for status, _ in answers] == [200] * 4
    assert not psutil.pid_exists(victim)


def test_an_idle_engine_that_hangs_is_found_by_a_probe(start_box: StartBox) -> None:
    box = start_box(hang_timeout_seconds=HANG_SECONDS, probe_interval_seconds=0.5)
    view = box.deploy(DeployRequest(model="demo", name="lone"))
    (victim,) = pids(view)
    os.kill(victim, signal.SIGSTOP)

    def healed() -> bool:
        now = pids(box.client.service("lone"))
        return len(now) == 1 and victim not in now

    eventually(healed, what="another process serves")
    (instance,) = box.client.service("lone").instances
    assert instance.restarts == 1


def test_an_engine_whose_socket_is_gone_is_replaced(start_box: StartBox) -> None:
    box = start_box(hang_timeout_seconds=HANG_SECONDS)
    view = box.deploy(DeployRequest(model="demo", name="lone"))
    before = pids(view)
    box.paths.instance_socket(view.instances[0].id).unlink()
    eventually(
        lambda: (
            pids(box.client.service("lone")).isdisjoint(before) and pids(box.client.service("lone"))
        ),
        what="another process serves",
    )
    assert any("its socket has taken no connection" in one.message for one in exits(box))


def test_a_stopped_engine_that_goes_on_in_time_is_no_suspect_any_more(start_box: StartBox) -> None:
    box = start_box(hang_timeout_seconds=20, probe_interval_seconds=0.1)
    view = box.deploy(DeployRequest(model="demo", name="lone"))
    (pid,) = pids(view)
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: "instance.suspect" in kinds(box), what="it is a suspect")
    os.kill(pid, signal.SIGCONT)
    eventually(lambda: "instance.recovered" in kinds(box), what="it is none any more")
    assert pids(box.client.service("lone")) == {pid}


async def test_who_is_asked_by_others_is_not_probed(start_box: StartBox) -> None:
    box = start_box(probe_interval_seconds=PROBE_SECONDS, hang_timeout_seconds=3)
    view = await asyncio.to_thread(box.deploy, DeployRequest(model="demo", name="lone"))
    (instance,) = view.instances
    key = box.key("k", Scope.INFERENCE)
    body = chat(view.access_name, max_tokens=5, ignore_eos=True)
    loop = asyncio.get_running_loop()

    async def ask() -> float:
        """Have it answered; when it was asked."""
        now = loop.time()
        status, _ = await read_whole(box.url, key, body)
        assert status == 200
        return now

    asked_at = await ask()
    before = await asyncio.to_thread(completion_tokens, box, instance)
    # Whoever looks does so every quarter of a second: these requests span many probes.
    begun, asked, probes = loop.time(), 0, 0.0
    while loop.time() - begun < 6:
        last, asked_at = asked_at, await ask()
        # If this process stood still for so long, nobody asked meanwhile.
        probes += (loop.time() - last) // PROBE_SECONDS
        asked += 1
    after = await asyncio.to_thread(completion_tokens, box, instance)
    probes += (loop.time() - asked_at) // PROBE_SECONDS
    assert 0 <= after - before - 5 * asked <= probes

    # Left alone it is asked for a token, again and again.
    await asyncio.to_thread(
        eventually,
        lambda: completion_tokens(box, instance) >= after + 2,
        what="two probes have come",
    )


@pytest.mark.parametrize("slow", [True, False], ids=["whole", "stream"])
async def test_a_long_answer_is_no_hang(start_box: StartBox, *, slow: bool) -> None:
    box = start_box(hang_timeout_seconds=1.5, probe_interval_seconds=0.1)
    view = await asyncio.to_thread(box.deploy, DeployRequest(model="demo", concurrency=1))
    key = box.key("k", Scope.INFERENCE)
    body = chat(view.access_name, max_tokens=1500, ignore_eos=True, stream=not slow)
    status, answer = await read_whole(box.url, key, body)
    assert status == 200
    assert b'"error"' not in answer
    (instance,) = box.client.service(view.name).instances
    assert instance.restarts == 0
