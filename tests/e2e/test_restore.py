"""A boot: everything comes back in order, and requests are told when. Real engines."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import aiohttp
import psutil
import pytest

from hydra_box.catalog import DEMO_MODEL
from hydra_box.errors import InvalidRequest
from hydra_box.messages import DeployRequest, EditRequest
from hydra_box.types import InstanceState, Scope, ServiceStatus
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.e2e.commands import run, run_json
from tests.e2e.streams import chat
from tests.fakes.engine import behave, install_as_built
from tests.waiting import eventually

PRIORITIES = (0, 90, 50)


def pull_the_plug(box: RunningBox) -> int:
    """End everything at once, as a loss of power does; the number of the last event."""
    views = box.client.services()
    pids = [one.pid for view in views for one in view.instances if one.pid is not None]
    # What is told late of this daemon's engines would count as told by the next one.
    eventually(
        lambda: len(told(box, "instance.ready", after=0)) >= len(pids),
        what="all are told to be ready",
    )
    last = max(one.id for one in box.client.recent_events(limit=1))
    box.client.close()
    box.process.kill()
    box.process.wait()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not any(map(psutil.pid_exists, pids)), what="every engine is gone")
    shutil.rmtree(box.paths.run)
    return last


def told(box: RunningBox, kind: str, *, after: int) -> list[str | None]:
    """The services of the events of a kind, in their order."""
    events = sorted(box.client.recent_events(limit=500), key=lambda one: one.id)
    return [one.service_name for one in events if one.kind == kind and one.id > after]


async def ask(box: RunningBox, model: str, key: str) -> tuple[int, int | None, str]:
    """Status, ``Retry-After`` and body of a chat."""
    sent = {"Authorization": f"Bearer {key}"}
    body = chat(model, max_tokens=3)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{box.url}/v1/chat/completions", json=body, headers=sent) as answer,
    ):
        again = answer.headers.get("Retry-After")
        return answer.status, None if again is None else int(again), await answer.text()


async def test_after_a_boot_all_is_back_in_order_and_requests_are_told_when(
    start_box: StartBox,
) -> None:
    box = start_box()
    for priority in PRIORITIES:
        name = f"p{priority}"
        request = DeployRequest(model="demo", name=name, priority=priority)
        await asyncio.to_thread(box.deploy, request)
    key = box.key("k", Scope.INFERENCE)
    last = pull_the_plug(box)

    again = start_box(load_parallelism=1)
    lowest = again.client.service("p0")
    assert lowest.priority == 0
    answers = [await ask(again, lowest.access_name, key)]
    while answers[-1][0] == 503:
        answers.append(await ask(again, lowest.access_name, key))
    assert answers[-1][0] == 200
    # On a busy machine it may be ready before anybody asks.
    for _, seconds, body in answers[:-1]:
        assert seconds is not None
        assert 1 <= seconds <= 600
        assert "is DEPLOYING and has no instance ready" in body
    # An event is stored a moment after it is true.
    ready = await asyncio.to_thread(
        eventually,
        lambda: len(found := told(again, "instance.ready", after=last)) == 3 and found,
        what="all are told to be ready",
    )
    assert ready == ["p90", "p50", "p0"]
    views = again.client.services()
    assert {view.status for view in views} == {ServiceStatus.RUNNING}
    assert {view.eta_seconds for view in views} == {None}
    for view in views:
        status, _, body = await ask(again, view.access_name, key)
        assert status == 200, body


def fake_box(home: Path, start_box: StartBox) -> RunningBox:
    """A box whose engines are fakes, with two services, each with a model of its own."""
    (home / "engines").mkdir(mode=0o700, parents=True)
    home.chmod(0o700)
    install_as_built(home / "engines")
    box = start_box(load_parallelism=1)
    box.wait_verified()
    for index, name in enumerate(("first", "second")):
        model = shutil.copy(DEMO_MODEL, home.parent / f"{name}.gguf")
        box.deploy(DeployRequest(model=str(model), name=name, priority=90 - index))
    return box


async def test_who_waits_is_told_how_many_come_before(home: Path, start_box: StartBox) -> None:
    box = await asyncio.to_thread(fake_box, home, start_box)
    key = box.key("k", Scope.INFERENCE)
    pull_the_plug(box)
    # A start that takes far longer than it did before holds up others no more.
    with closing(sqlite3.connect(box.paths.database)) as database, database:
        database.execute("UPDATE load_times SET seconds = 20")
    may_load = home.parent / "may-load"
    behave(home.parent / "first.gguf", "--load-until", str(may_load))

    again = start_box(load_parallelism=1)
    await asyncio.to_thread(
        eventually,
        lambda: again.client.service("second").progress == "1 engine before it",
        what="the second waits for the first",
    )
    waiting = again.client.service("second")
    assert waiting.eta_seconds is not None
    assert [one.state for one in waiting.instances] == [InstanceState.PENDING]
    status, seconds, body = await ask(again, waiting.access_name, key)
    assert status == 503
    assert seconds is not None
    assert f"1 engine before it, ready in about {seconds} s" in body
    shown = run(again, "status").stdout
    assert "1 engine before it, ready in about" in shown
    assert "priority 89" in shown
    may_load.touch()
    await asyncio.to_thread(again.wait_running, "second")
    assert again.client.service("first").status is ServiceStatus.RUNNING


def test_a_model_that_is_gone_holds_up_nobody(home: Path, start_box: StartBox) -> None:
    box = fake_box(home, start_box)
    last = pull_the_plug(box)
    (home.parent / "first.gguf").unlink()

    again = start_box(load_parallelism=1)
    again.wait_running("second")
    eventually(
        lambda: told(again, "instance.ready", after=last) == ["second"],
        what="the second is ready alone",
    )
    # It has no reason in the moments in which it is tried again.
    eventually(
        lambda: "first.gguf" in (again.client.service("first").reason or ""),
        what="the first is told to be gone",
    )


@pytest.mark.slow
def test_a_start_that_hangs_holds_up_nobody_for_long(home: Path, start_box: StartBox) -> None:
    box = fake_box(home, start_box)
    last = pull_the_plug(box)
    behave(home.parent / "first.gguf", "--hang-while-loading")

    again = start_box(load_parallelism=1)
    again.wait_running("second")
    eventually(
        lambda: told(again, "instance.ready", after=last) == ["second"],
        what="the second is ready alone",
    )
    hanging = again.client.service("first")
    assert [one.state for one in hanging.instances] == [InstanceState.STARTING]
    # Nor does it hold up what is deployed by hand.
    model = shutil.copy(DEMO_MODEL, home.parent / "third.gguf")
    again.deploy(DeployRequest(model=str(model), name="third"))


def test_a_priority_is_given_and_changed_without_a_new_instance(start_box: StartBox) -> None:
    box = start_box()
    first = run_json(box, "deploy", "demo", "--name", "one", "--priority", "50", "--wait")
    assert first["priority"] == 50
    second = run_json(box, "edit", "one", "--priority", "90", "--wait")
    assert second["priority"] == 90
    assert [one["id"] for one in second["instances"]] == [one["id"] for one in first["instances"]]

    def changed() -> list[str]:
        events = box.client.recent_events(limit=50)
        return [one.message for one in events if one.kind == "service.changed"]

    told_so = ["one is to have the priority 90 instead of 50"]
    eventually(lambda: changed() == told_so, what="the change is told")
    assert run(box, "edit", "one", "--priority", "101").returncode == 2
    for refused in (-1, 101):
        with pytest.raises(InvalidRequest, match=f"a priority of {refused} is not possible") as it:
            box.client.edit("one", EditRequest(priority=refused))
        assert it.value.param == "priority"
        with pytest.raises(InvalidRequest, match="a priority of"):
            box.client.deploy(DeployRequest(model="demo", name="other", priority=refused))
