"""Services that fall asleep when nobody calls them, and wake when somebody does: real engines."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import psutil
import pytest

from hydra_box.catalog import DEMO_MODEL
from hydra_box.messages import (
    DeployRequest,
    EditRequest,
    ScaleRequest,
    ServiceView,
    UsageFormat,
)
from hydra_box.types import InstanceState, Scope, ServiceStatus
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.e2e.commands import run_json
from tests.e2e.streams import chat
from tests.fakes.engine import behave, install_as_built
from tests.waiting import eventually

IDLE_SECONDS = 1.0
LONG_SECONDS = 3600.0
"""Nothing falls asleep in that time while a test looks at it."""
AT_ONCE = 20

T = TypeVar("T")


async def until(condition: Callable[[], T], what: str) -> T:
    return await asyncio.to_thread(eventually, condition, what=what)


class Drowsy:
    """A box with a service that sleeps soon, and a client of it."""

    def __init__(
        self, box: RunningBox, *, model: str = "demo", sleeps_after: float = IDLE_SECONDS
    ) -> None:
        self.box = box
        self.view = box.deploy(DeployRequest(model=model, name="drowsy"))
        self.key = box.key("k", Scope.INFERENCE)
        # Not before it was seen awake: it may be asleep before a busy machine looks again.
        self.sleep_after(sleeps_after)

    def sleep_after(self, seconds: float) -> None:
        """Have it sleep once nobody has called it for so long; that wakes nobody."""
        self.box.client.edit("drowsy", EditRequest(idle_timeout_seconds=seconds))

    async def falls_asleep(self) -> None:
        """Wait until it is asleep; who wakes it then has it awake for the rest of the test."""
        await until(self.asleep, "it is asleep")
        await asyncio.to_thread(self.sleep_after, LONG_SECONDS)

    @property
    def now(self) -> ServiceView:
        return self.box.client.service("drowsy")

    def asleep(self) -> bool:
        view = self.now
        return view.asleep and not view.instances

    def events(self, kind: str) -> int:
        """How many of a kind are stored; they are a moment after they happen."""
        return sum(one.kind == kind for one in self.box.client.recent_events(limit=500))

    def ended_at(self, request_id: str) -> float:
        """When a request was over, by the books."""
        told = json.loads("".join(self.box.client.usage_requests(UsageFormat.JSON)))
        return next(float(one["at"]) for one in told["rows"] if one["id"] == request_id)

    async def happened(self, kind: str, times: int) -> None:
        await until(lambda: self.events(kind) >= times, f"{kind} is told")
        assert self.events(kind) == times

    async def ask(
        self, *, prefer: str | None = None, **options: Any
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a chat, read to its end."""
        sent = {"Authorization": f"Bearer {self.key}"}
        if prefer is not None:
            sent["Prefer"] = prefer
        body = chat(self.view.access_name, **{"max_tokens": 5, **options})
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.box.url}/v1/chat/completions", json=body, headers=sent) as answer,
        ):
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, headers, await answer.read()


async def test_asleep_it_takes_nothing_and_one_of_many_requests_wakes_it(
    start_box: StartBox,
) -> None:
    drowsy = await asyncio.to_thread(Drowsy, start_box(), sleeps_after=2.0)
    (pid,) = [one.pid for one in drowsy.view.instances]
    await until(drowsy.asleep, "it is asleep")
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert list(drowsy.box.paths.instances.iterdir()) == []
    assert drowsy.now.status is ServiceStatus.RUNNING
    assert drowsy.now.idle_timeout_seconds == 2.0
    assert drowsy.box.client.status().attention == ()
    await drowsy.happened("service.asleep", 1)

    await drowsy.falls_asleep()
    answers = await asyncio.gather(*(drowsy.ask() for _ in range(AT_ONCE)))
    assert [status for status, _, _ in answers] == [200] * AT_ONCE
    await drowsy.happened("service.waking", 1)
    await drowsy.happened("instance.ready", 2)
    assert drowsy.now.stats.requests == AT_ONCE
    assert [one.restarts for one in drowsy.now.instances] == [0]


async def test_who_does_not_want_to_wait_is_told_and_it_wakes_all_the_same(
    start_box: StartBox,
) -> None:
    drowsy = await asyncio.to_thread(Drowsy, start_box())
    await drowsy.falls_asleep()
    status, headers, body = await drowsy.ask(prefer="wait=0")
    assert status == 503
    assert int(headers["retry-after"]) >= 1
    assert b"is waking" in body
    assert b"asked 0 s ago" in body
    await asyncio.to_thread(drowsy.box.wait_running, "drowsy")
    status, _, _ = await drowsy.ask(prefer="wait=60")
    assert status == 200
    await drowsy.happened("service.waking", 1)


async def test_a_stream_that_is_longer_than_the_timeout_keeps_it_awake(
    home: Path, start_box: StartBox
) -> None:
    install_fake(home, "--chunks", "40", "--chunk-delay", "0.05")
    drowsy = await asyncio.to_thread(Drowsy, start_box(), sleeps_after=LONG_SECONDS)
    streaming = asyncio.create_task(drowsy.ask(stream=True))
    # All of it may be over before a busy machine looks.
    await until(lambda: streaming.done() or drowsy.now.stats.requests_in_flight, "it streams")
    await asyncio.to_thread(drowsy.sleep_after, IDLE_SECONDS)
    status, headers, body = await streaming
    assert status == 200
    assert b"data: [DONE]" in body
    await until(drowsy.asleep, "it is asleep")
    await drowsy.happened("service.asleep", 1)
    (asleep,) = [one for one in drowsy.box.client.recent_events() if one.kind == "service.asleep"]
    assert asleep.at >= drowsy.ended_at(headers["x-request-id"])


async def test_an_engine_that_is_killed_while_it_wakes_is_waited_for(
    home: Path, start_box: StartBox
) -> None:
    drowsy, may_load = await slow_to_wake(home, start_box)
    waiting = [asyncio.create_task(drowsy.ask()) for _ in range(3)]
    pid = await until(lambda: starting_pid(drowsy), "it is starting")
    os.kill(pid, signal.SIGKILL)
    may_load.touch()
    assert [status for status, _, _ in await asyncio.gather(*waiting)] == [200] * 3
    await drowsy.happened("service.waking", 1)
    await drowsy.happened("instance.exited", 1)


async def test_a_service_that_is_stopped_while_it_wakes_answers_so(
    home: Path, start_box: StartBox
) -> None:
    drowsy, may_load = await slow_to_wake(home, start_box)
    waiting = [asyncio.create_task(drowsy.ask()) for _ in range(3)]
    await until(lambda: starting_pid(drowsy), "it is starting")
    await asyncio.to_thread(drowsy.box.client.stop, "drowsy")
    for status, _, body in await asyncio.gather(*waiting):
        assert status == 503
        assert b"is stopped" in body
    await until(lambda: not drowsy.now.instances, "nothing of it is left")
    assert not drowsy.now.asleep
    # Who starts it wants it awake.
    may_load.touch()
    await asyncio.to_thread(drowsy.box.client.start, "drowsy")
    await asyncio.to_thread(drowsy.box.wait_running, "drowsy")


async def test_the_daemon_stops_while_it_wakes(home: Path, start_box: StartBox) -> None:
    drowsy, _ = await slow_to_wake(home, start_box, drain_timeout_seconds=1)
    waiting = asyncio.create_task(drowsy.ask())
    await until(lambda: starting_pid(drowsy), "it is starting")
    assert await asyncio.to_thread(drowsy.box.stop) == 0
    status, _, body = await waiting
    assert status == 503
    assert b"the daemon is stopping" in body


async def slow_to_wake(home: Path, start_box: StartBox, **settings: object) -> tuple[Drowsy, Path]:
    """A box with a service that is asleep, whose engine loads until there is a file."""
    may_load = home.parent / "may-load"
    may_load.touch()
    install_fake(home, "--load-until", str(may_load))
    drowsy = await asyncio.to_thread(Drowsy, start_box(**settings))
    await drowsy.falls_asleep()
    may_load.unlink()
    return drowsy, may_load


def install_fake(home: Path, *behaviour: str) -> None:
    """The engine of the box that is started on that state directory."""
    (home / "engines").mkdir(mode=0o700, parents=True)
    home.chmod(0o700)
    install_as_built(home / "engines", *behaviour)


def starting_pid(drowsy: Drowsy) -> int:
    """Of its first process that loads; 0: there is none."""
    starting = (one for one in drowsy.now.instances if one.state is InstanceState.STARTING)
    return next((one.pid for one in starting if one.pid is not None), 0)


def test_changes_do_not_wake_it_and_are_what_it_wakes_as(start_box: StartBox) -> None:
    drowsy = Drowsy(start_box())
    eventually(drowsy.asleep, what="it is asleep")
    client = drowsy.box.client
    client.scale("drowsy", ScaleRequest(instances=2))
    client.edit("drowsy", EditRequest(context_length=256))
    drowsy.sleep_after(LONG_SECONDS)
    assert drowsy.asleep()
    assert run_json(drowsy.box, "start", "drowsy", "--wait")["status"] == "RUNNING"
    view = drowsy.box.wait_running("drowsy")
    assert (view.context_length, view.ready_instances, view.asleep) == (256, 2, False)


def test_a_service_that_shall_never_sleep_any_more_wakes(start_box: StartBox) -> None:
    drowsy = Drowsy(start_box())
    eventually(drowsy.asleep, what="it is asleep")
    drowsy.box.client.edit("drowsy", EditRequest(idle_timeout_seconds=0))
    view = drowsy.box.wait_running("drowsy")
    assert view.idle_timeout_seconds is None
    assert not view.asleep


def test_asleep_it_can_be_stopped_started_and_deleted(start_box: StartBox) -> None:
    drowsy = Drowsy(start_box())
    client = drowsy.box.client
    eventually(drowsy.asleep, what="it is asleep")
    assert client.stop("drowsy").status is ServiceStatus.STOPPED
    assert not drowsy.now.asleep
    # Or it would be awake for a second only, in which somebody has to look.
    drowsy.sleep_after(LONG_SECONDS)
    client.start("drowsy")
    drowsy.box.wait_running("drowsy")
    drowsy.sleep_after(IDLE_SECONDS)
    eventually(drowsy.asleep, what="it is asleep again")
    client.delete("drowsy", confirm="drowsy")
    eventually(lambda: not client.services(), what="it is gone")


async def test_after_a_restart_of_the_daemon_it_sleeps_on_until_it_is_called(
    start_box: StartBox,
) -> None:
    drowsy = await asyncio.to_thread(Drowsy, start_box())
    await until(drowsy.asleep, "it is asleep")
    assert drowsy.box.stop() == 0
    drowsy.box = start_box()
    view = drowsy.now
    assert view.idle_timeout_seconds == IDLE_SECONDS
    assert view.asleep
    assert view.instances == ()
    status, _, body = await drowsy.ask()
    assert status == 200, body


def test_one_that_was_called_lately_is_awake_after_a_restart(start_box: StartBox) -> None:
    drowsy = Drowsy(start_box(), sleeps_after=LONG_SECONDS)
    assert drowsy.box.stop() == 0
    view = start_box().wait_running("drowsy")
    assert not view.asleep
    assert view.ready_instances == 1


async def test_requests_in_the_moment_of_falling_asleep_are_answered(
    start_box: StartBox,
) -> None:
    drowsy = await asyncio.to_thread(Drowsy, start_box())
    told = drowsy.box.client.events(after=0)
    for _ in range(4):
        await asyncio.to_thread(lambda: next(one for one in told if one.kind == "service.asleep"))
        # It is being drained, or stopped, or is asleep by now.
        status, _, body = await drowsy.ask()
        assert status == 200, body


@pytest.mark.slow
async def test_a_request_while_the_old_process_still_ends_waits_for_the_next(
    home: Path, start_box: StartBox
) -> None:
    install_fake(home, "--ignore-sigterm")
    drowsy = await asyncio.to_thread(Drowsy, start_box())
    (old,) = [one.pid for one in drowsy.view.instances]

    def ending() -> bool:
        now = drowsy.now
        # It has ended when nobody looked for the seconds that this takes.
        return now.asleep and all(one.state is InstanceState.STOPPING for one in now.instances)

    await until(ending, "its process is being ended")
    status, _, body = await drowsy.ask()
    assert status == 200, body
    # The next had the memory of the one before, so that both were never there at once.
    assert old is not None
    assert not psutil.pid_exists(old)
    await drowsy.happened("service.waking", 1)


@pytest.mark.slow
async def test_a_wake_that_fails_for_good_is_told_to_who_waits(
    home: Path, start_box: StartBox
) -> None:
    install_fake(home)
    model = Path(shutil.copy(DEMO_MODEL, home.parent / "copy.gguf"))
    drowsy = await asyncio.to_thread(Drowsy, start_box(), model=str(model))
    await drowsy.falls_asleep()
    behave(model, "--exit-at-once", "3")
    status, _, body = await drowsy.ask()
    assert status == 503
    assert b"has failed" in body
    await drowsy.happened("service.waking", 1)
