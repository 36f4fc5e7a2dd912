"""vLLM's own sleep mode, on a GPU: a fake of both, because this machine has neither."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from hydra_box.engines.vllm_sleep import VllmSleep
from hydra_box.messages import DeployRequest, EditRequest, InstanceView
from hydra_box.types import EngineName, InstanceState, Scope, ServiceStatus
from tests.boxes import RunningBox
from tests.e2e.commands import run_json
from tests.e2e.streams import chat, read_whole
from tests.fakes.nvml_machine import FakeNvml
from tests.fakes.vllm import install_as_built
from tests.machines import MIB, gpu, machine
from tests.waiting import eventually

S = InstanceState
T = TypeVar("T")

TOTAL_MIB = 24_564
IDLE_SECONDS = 1.0
LONG_SECONDS = 3600.0
"""Nothing falls asleep in that time while a test looks at it."""


async def until(condition: Callable[[], T], what: str) -> T:
    return await asyncio.to_thread(eventually, condition, what=what)


@dataclass
class Sleeper:
    """A box with one GPU, and a service on vLLM that sleeps soon."""

    box: RunningBox
    nvml: FakeNvml
    key: str = ""
    model: str = ""

    def next_daemon(self) -> None:
        """Start another one where the last was killed."""
        self.box = RunningBox(self.box.home, self.nvml.environ)

    @property
    def uuid(self) -> str:
        (card,) = self.box.client.machine().gpus
        return card.uuid

    @property
    def instances(self) -> tuple[InstanceView, ...]:
        return self.box.client.service("sleeper").instances

    async def state(self, state: InstanceState) -> InstanceView:
        """Its instance, once it is in that state."""

        def found() -> InstanceView | None:
            return next((one for one in self.instances if one.state is state), None)

        view = await until(found, f"it is {state}")
        assert view is not None
        return view

    def sleep_after(self, seconds: float) -> None:
        """Have it sleep once nobody has called it for so long; that wakes nobody."""
        self.box.client.edit("sleeper", EditRequest(idle_timeout_seconds=seconds))

    async def falls_asleep(self) -> InstanceView:
        """Its instance, asleep; who wakes it then has it awake for the rest of the test."""
        await asyncio.to_thread(self.sleep_after, IDLE_SECONDS)
        asleep = await self.state(S.ASLEEP)
        await asyncio.to_thread(self.sleep_after, LONG_SECONDS)
        return asleep

    async def ask(self) -> tuple[int, bytes]:
        return await read_whole(self.box.url, self.key, chat(self.model, max_tokens=5))

    def told(self, kind: str) -> list[str]:
        return [one.message for one in self.box.client.recent_events() if one.kind == kind]

    async def heard(self, kind: str) -> list[str]:
        """What was told, once something is stored; that is a moment after it happens."""
        return await until(lambda: self.told(kind), f"{kind} is told")


Start = Callable[..., Sleeper]


@pytest.fixture
async def start(home: Path, tmp_path: Path) -> AsyncIterator[Start]:
    sleepers: list[Sleeper] = []

    def make(*behaviour: str) -> Sleeper:
        card = gpu("NVIDIA GeForce RTX 4090", TOTAL_MIB, (8, 9))
        nvml = FakeNvml(tmp_path, machine(card, ram_gib=64, free_ram_gib=40))
        (home / "engines").mkdir(mode=0o700, parents=True)
        home.chmod(0o700)
        install_as_built(home / "engines", *behaviour, accelerator="cuda")
        box = RunningBox(home, nvml.environ)
        sleepers.append(Sleeper(box, nvml))
        box.wait_verified()
        # Only who may ever sleep is started so that it can.
        request = DeployRequest(
            model="demo",
            name="sleeper",
            engine=EngineName.VLLM,
            idle_timeout_seconds=LONG_SECONDS,
        )
        view = box.deploy(request)
        sleepers[0].key, sleepers[0].model = box.key("k", Scope.INFERENCE), view.access_name
        return sleepers[0]

    yield make
    for one in sleepers:
        code = await asyncio.to_thread(one.box.stop)
        one.box.end_orphans()
        assert code == 0


async def test_its_process_stays_and_gives_the_gpu_back(start: Start) -> None:
    sleeper = await asyncio.to_thread(start)
    asleep = await sleeper.falls_asleep()
    view = sleeper.box.client.service("sleeper")
    assert (view.status, view.asleep, view.ready_instances) == (ServiceStatus.RUNNING, True, 0)
    assert view.reason is None
    assert asleep.pid is not None
    assert asleep.memory == ()

    answers = await asyncio.gather(*(sleeper.ask() for _ in range(10)))
    assert [status for status, _ in answers] == [200] * 10
    awake = await sleeper.state(S.READY)
    assert (awake.id, awake.pid, awake.restarts) == (asleep.id, asleep.pid, 0)
    assert len(await sleeper.heard("service.waking")) == 1
    assert sleeper.told("instance.sleepless") == []
    # And again: each time it is the same process.
    assert (await sleeper.falls_asleep()).pid == asleep.pid
    assert (await sleeper.ask())[0] == 200


async def test_the_next_daemon_lets_it_sleep_on_and_can_wake_it(start: Start) -> None:
    sleeper = await asyncio.to_thread(start)
    asleep = await sleeper.falls_asleep()
    done = await asyncio.to_thread(run_json, sleeper.box, "restart", "--wait")
    assert done["engine_pids"] == [asleep.pid]
    view = sleeper.box.client.service("sleeper")
    assert (view.status, view.asleep) == (ServiceStatus.RUNNING, True)
    assert [(one.pid, one.state) for one in view.instances] == [(asleep.pid, S.ASLEEP)]
    assert (await sleeper.ask())[0] == 200
    assert (await sleeper.state(S.READY)).pid == asleep.pid


async def test_the_next_daemon_has_one_sleep_that_was_never_told(start: Start) -> None:
    sleeper = await asyncio.to_thread(start)
    asleep = await sleeper.falls_asleep()
    sleeper.box.process.kill()
    await asyncio.to_thread(sleeper.box.stop)
    # As it is when its daemon is killed between the row and the call.
    socket_path = sleeper.box.paths.instance_socket(asleep.id)
    await VllmSleep().wake(socket_path)
    await asyncio.to_thread(sleeper.next_daemon)
    await until(lambda: asyncio.run(VllmSleep().sleeps(socket_path)), "its engine sleeps")
    (adopted,) = sleeper.instances
    assert (adopted.pid, adopted.state) == (asleep.pid, S.ASLEEP)
    assert (await sleeper.ask())[0] == 200
    assert (await sleeper.state(S.READY)).pid == asleep.pid
    assert sleeper.told("instance.sleepless") == []


async def test_when_others_have_taken_its_memory_it_says_so_and_tries_on(start: Start) -> None:
    sleeper = await asyncio.to_thread(start)
    asleep = await sleeper.falls_asleep()
    assert asleep.pid is not None
    taken = (1, (TOTAL_MIB - 1200) * MIB)
    sleeper.nvml.hold(sleeper.uuid, taken)
    status, body = await sleeper.ask()
    assert status == 503
    assert b"needs" in body
    waits = await sleeper.state(S.BACKOFF)
    assert waits.id != asleep.id
    assert not psutil.pid_exists(asleep.pid)
    assert (
        "others have taken the memory that it gave back"
        in (await sleeper.heard("instance.sleepless"))[0]
    )
    sleeper.nvml.hold(sleeper.uuid)
    await asyncio.to_thread(sleeper.box.wait_running, "sleeper")
    assert (await sleeper.ask())[0] == 200


@pytest.mark.parametrize("fault", [("--sleep-error", "500"), ("--wake-error", "500")])
async def test_one_that_cannot_sleep_or_wake_is_stopped_and_started(
    start: Start, fault: tuple[str, str]
) -> None:
    sleeper = await asyncio.to_thread(start, *fault)
    (first,) = sleeper.instances
    await asyncio.to_thread(sleeper.sleep_after, IDLE_SECONDS)
    await until(lambda: sleeper.box.client.service("sleeper").asleep, "it is asleep")
    await asyncio.to_thread(sleeper.sleep_after, LONG_SECONDS)
    status, body = await sleeper.ask()
    assert status == 200, body
    assert (await sleeper.state(S.READY)).pid != first.pid
    assert "the engine answered 500" in (await sleeper.heard("instance.sleepless"))[0]


async def test_one_that_is_woken_while_it_fails_to_sleep_is_started_anew(start: Start) -> None:
    sleeper = await asyncio.to_thread(start, "--sleep-delay", "3", "--sleep-error", "500")
    (first,) = sleeper.instances
    await asyncio.to_thread(sleeper.sleep_after, IDLE_SECONDS)
    # Its process may have failed to sleep, and be gone, before a busy machine looks.
    await until(lambda: sleeper.box.client.service("sleeper").asleep, "it is asleep")
    await asyncio.to_thread(sleeper.sleep_after, LONG_SECONDS)
    status, body = await sleeper.ask()
    assert status == 200, body
    assert (await sleeper.state(S.READY)).pid != first.pid


async def test_one_that_dies_in_its_sleep_is_started_anew(start: Start) -> None:
    sleeper = await asyncio.to_thread(start)
    asleep = await sleeper.falls_asleep()
    assert asleep.pid is not None
    psutil.Process(asleep.pid).kill()
    await until(lambda: not sleeper.instances, "nothing of it is left")
    assert sleeper.box.client.service("sleeper").asleep
    assert (await sleeper.ask())[0] == 200
    ready = await sleeper.state(S.READY)
    assert (ready.id == asleep.id, ready.restarts) == (False, 0)


async def test_what_it_cannot_wake_as_is_not_kept(start: Start) -> None:
    sleeper = await asyncio.to_thread(start)
    client = sleeper.box.client
    asleep = await sleeper.falls_asleep()
    await asyncio.to_thread(client.edit, "sleeper", EditRequest(context_length=256))
    await until(lambda: not sleeper.instances, "its process is gone")
    assert client.service("sleeper").asleep
    assert (await sleeper.ask())[0] == 200
    assert (await sleeper.state(S.READY)).id != asleep.id
    # Stopped in its sleep, nothing is left either.
    await sleeper.falls_asleep()
    await asyncio.to_thread(client.stop, "sleeper")
    await until(lambda: not sleeper.instances, "its process is gone")
