"""A daemon that is killed: its engines go on, and the next daemon takes them over."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from hydra_box.catalog import DEMO_MODEL
from hydra_box.messages import DeployRequest, InstanceView, ScaleRequest, ServiceView
from hydra_box.process import START_MARK, find_leftovers
from hydra_box.sessions import born_at
from hydra_box.types import InstanceState, Scope
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.e2e.commands import run
from tests.e2e.streams import chat, read_whole
from tests.fakes.engine import behave, install_as_built
from tests.waiting import eventually

S = InstanceState


def kill(box: RunningBox) -> None:
    """Kill the daemon, once it has written down what it shows of its engines."""

    def written() -> bool:
        views = [one for view in box.client.services() for one in view.instances]
        return rows(box) == {(one.id, one.state, one.pid, bool(one.memory)) for one in views}

    eventually(written, what="the instances are in the database")
    kill_at_once(box)


def kill_at_once(box: RunningBox) -> None:
    box.process.kill()
    box.process.wait()


def rows(box: RunningBox) -> set[tuple[str, str, int | None, bool]]:
    """Id, state, pid and whether it is measured, as the next daemon will find the instances."""
    query = "SELECT id, state, pid, measured FROM instances"
    with closing(sqlite3.connect(f"file:{box.paths.database}?mode=ro", uri=True)) as database:
        found = database.execute(query).fetchall()
    return {(id, state, pid, bool(json.loads(measured))) for id, state, pid, measured in found}


def alive(box: RunningBox) -> set[int]:
    """The pids of the engines of a box, whoever knows them."""
    return {one.pid for one in find_leftovers(box.home)}


def pids(view: ServiceView) -> set[int]:
    return {one.pid for one in view.instances if one.pid is not None}


def told(box: RunningBox, kind: str) -> list[str]:
    return [one.message for one in box.client.recent_events(limit=1000) if one.kind == kind]


def starts(box: RunningBox, instance: InstanceView) -> int:
    """How often a process was started for an instance."""
    return box.paths.instance_log(instance.id).read_bytes().count(START_MARK)


def measured(box: RunningBox) -> ServiceView | None:
    """The service, once it is known what each of its instances takes."""
    view = box.client.service("kept")
    return view if all(one.memory for one in view.instances) else None


async def test_the_next_daemon_takes_every_engine_over(start_box: StartBox) -> None:
    box = start_box()
    await asyncio.to_thread(box.deploy, DeployRequest(model="demo", name="kept", instances=2))
    before = await asyncio.to_thread(eventually, lambda: measured(box), what="both are measured")
    assert before is not None
    key = box.key("k", Scope.INFERENCE)
    kill(box)
    assert alive(box) == pids(before)

    again = start_box()
    # It serves from its first moment on.
    status, _ = await read_whole(again.url, key, chat(before.access_name, max_tokens=5))
    assert status == 200
    # On a busy machine one of them may take longer to answer than the daemon waits for it.
    after = await asyncio.to_thread(again.wait_running, "kept")
    known = ("id", "pid", "state", "device", "restarts", "slots", "runtime", "memory")
    assert [[getattr(one, name) for name in known] for one in after.instances] == [
        [getattr(one, name) for name in known] for one in before.instances
    ]
    assert [starts(again, one) for one in after.instances] == [1, 1]
    await asyncio.to_thread(
        eventually, lambda: len(told(again, "instance.adopted")) == 2, what="both are told"
    )
    assert told(again, "daemon.reaped") == []
    assert again.stop() == 0
    assert alive(again) == set()


async def test_logs_of_an_engine_that_was_taken_over_go_on(start_box: StartBox) -> None:
    box = start_box()
    view = await asyncio.to_thread(box.deploy, DeployRequest(model="demo", name="kept"))
    key = box.key("k", Scope.INFERENCE)
    kill(box)
    again = start_box()
    log_path = again.paths.instance_log(view.instances[0].id)
    size = log_path.stat().st_size
    await read_whole(again.url, key, chat(view.access_name, max_tokens=5))
    await asyncio.to_thread(eventually, lambda: log_path.stat().st_size > size)
    last = log_path.read_text().splitlines()[-1]
    shown = await asyncio.to_thread(run, again, "logs", "kept")
    assert last in shown.stdout


def test_one_that_was_taken_over_is_started_again_when_it_dies(start_box: StartBox) -> None:
    box = start_box()
    view = box.deploy(DeployRequest(model="demo", name="kept"))
    kill(box)
    again = start_box()
    (old,) = pids(view)
    os.kill(old, signal.SIGKILL)
    eventually(lambda: again.client.service("kept").instances[0].restarts == 1)
    served = again.wait_running("kept")
    (instance,) = served.instances
    assert instance.id == view.instances[0].id
    assert instance.pid != old
    assert starts(again, instance) == 2
    (message,) = eventually(lambda: told(again, "instance.exited"), what="it is told")
    assert "ended and will be started again" in message
    assert alive(again) == pids(served)


def test_those_that_were_taken_over_can_be_scaled_stopped_and_deleted(
    start_box: StartBox,
) -> None:
    box = start_box()
    view = box.deploy(DeployRequest(model="demo", name="kept", instances=2))
    kill(box)
    again = start_box()
    again.client.scale("kept", ScaleRequest(instances=1))
    eventually(lambda: len(alive(again)) == 1, what="one of the two is left")
    again.client.scale("kept", ScaleRequest(instances=2))
    scaled = again.wait_running("kept")
    assert len(pids(view) & pids(scaled)) == 1
    kill(again)

    third = start_box()
    assert pids(third.client.service("kept")) == pids(scaled)
    third.client.stop("kept")
    eventually(lambda: not alive(third), what="no engine is left")
    third.client.start("kept")
    third.wait_running("kept")
    kill(third)

    fourth = start_box()
    fourth.client.delete("kept", "kept")
    eventually(lambda: not alive(fourth), what="no engine is left")
    eventually(lambda: fourth.client.services() == ())


def test_one_that_died_while_no_daemon_was_there_is_replaced(start_box: StartBox) -> None:
    box = start_box()
    view = box.deploy(DeployRequest(model="demo", name="kept", instances=2))
    kill(box)
    dead, living = view.instances
    assert dead.pid is not None
    os.kill(dead.pid, signal.SIGKILL)
    again = start_box()
    served = again.wait_running("kept")
    assert living.pid in pids(served)
    assert dead.id not in [one.id for one in served.instances]
    eventually(lambda: not again.paths.instance_log(dead.id).exists(), what="its log is removed")
    (message,) = eventually(lambda: told(again, "instance.exited"), what="it is told")
    assert message.startswith(f"{dead.id} does not go on: ")
    assert not again.paths.instance_socket(dead.id).parent.exists()


def test_one_that_loads_goes_on_loading(home: Path, start_box: StartBox) -> None:
    (home / "engines").mkdir(mode=0o700, parents=True)
    home.chmod(0o700)
    install_as_built(home / "engines")
    model = Path(shutil.copy(DEMO_MODEL, home.parent / "slow.gguf"))
    box = start_box()
    box.wait_verified()
    may_load = home.parent / "may-load"
    behave(model, "--load-until", str(may_load))
    box.client.deploy(DeployRequest(model=str(model), name="kept"))
    eventually(lambda: pids(box.client.service("kept")), what="its engine is started")
    loading = box.client.service("kept")
    kill(box)
    again = start_box()
    (adopted,) = again.client.service("kept").instances
    assert adopted.state is S.STARTING
    may_load.touch()
    served = again.wait_running("kept")
    assert pids(served) == pids(loading) == alive(again)
    assert [starts(again, one) for one in served.instances] == [1]


def test_one_that_hangs_holds_up_nobody_and_is_replaced(start_box: StartBox) -> None:
    box = start_box()
    view = box.deploy(DeployRequest(model="demo", name="kept", instances=2))
    kill(box)
    stopped, well = view.instances
    assert stopped.pid is not None
    os.kill(stopped.pid, signal.SIGSTOP)
    again = start_box(load_stall_seconds=3)
    states = {one.id: one.state for one in again.client.service("kept").instances}
    assert states[well.id] is S.READY
    assert states[stopped.id] is not S.READY
    eventually(lambda: again.client.service("kept").instances[0].restarts == 1)
    served = again.wait_running("kept")
    assert stopped.pid not in pids(served)
    assert alive(again) == pids(served)


def test_engines_of_a_copied_box_are_strangers(start_box: StartBox, home: Path) -> None:
    box = start_box()
    view = box.deploy(DeployRequest(model="demo", name="kept"))
    kill(box)
    copy = home.with_name("copy")
    shutil.copytree(home, copy, ignore=lambda path, names: [one for one in names if one == "run"])
    other = RunningBox(copy, {})
    try:
        served = other.wait_running("kept")
        assert not pids(served) & pids(view)
        assert alive(box) == pids(view)
    finally:
        assert other.stop() == 0
    again = start_box()
    assert pids(again.client.service("kept")) == pids(view)


def test_who_has_the_number_of_an_engine_that_is_gone_is_left_alone(
    start_box: StartBox, tmp_path: Path
) -> None:
    box = start_box()
    view = box.deploy(DeployRequest(model="demo", name="kept"))
    kill(box)
    (old,) = pids(view)
    os.kill(old, signal.SIGKILL)
    eventually(lambda: not alive(box))
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        with closing(sqlite3.connect(box.paths.database)) as database, database:
            database.execute(
                "UPDATE instances SET pid = ?, process_created_at = ?",
                (stranger.pid, born_at(stranger.pid)),
            )
        again = start_box()
        served = again.wait_running("kept")
        assert stranger.pid not in pids(served)
        assert again.stop() == 0
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_daemon_killed_at_any_moment_leaves_no_orphan(start_box: StartBox) -> None:
    dice = random.Random(7)
    box = start_box()
    box.client.deploy(DeployRequest(model="demo", name="kept", instances=2))
    for _ in range(4):
        victim = psutil.Process(box.process.pid)
        with pytest.raises(psutil.TimeoutExpired):
            victim.wait(dice.uniform(0, 0.6))
        kill_at_once(box)
        box = start_box()
    served = box.wait_running("kept")
    eventually(lambda: alive(box) == pids(served), what="every engine is known")
    assert len(pids(served)) == 2
