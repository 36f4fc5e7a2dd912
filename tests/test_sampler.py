"""Samples of the machine: for whoever asks, and for whoever watches."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from hydra_box.sampler import QUEUE_LENGTH, Sampler
from hydra_box.types import GpuCondition, Machine
from tests.fakes.nvml_machine import FakeNvml
from tests.machines import GIB, two_rtx_3090_one_half_occupied

NEVER_SECONDS = 100_000.0


@asynccontextmanager
async def running(seconds: float) -> AsyncIterator[Sampler]:
    """A sampler at work."""
    sampler = Sampler(Path("/"), seconds=seconds)
    task = asyncio.create_task(sampler.run())
    try:
        yield sampler
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_first_sample_is_taken_when_it_is_asked_for() -> None:
    sampler = Sampler(Path("/"))
    first = sampler.latest()
    assert first.cpu_model
    assert sampler.latest() is first


async def test_fresh_sample_is_the_latest_and_reaches_who_watches() -> None:
    sampler = Sampler(Path("/"))
    before = sampler.latest()
    async with aclosing(sampler.subscribe()) as live:
        coming = asyncio.ensure_future(anext(live))
        await asyncio.sleep(0)
        fresh = await sampler.fresh()
        assert fresh is not before
        assert await coming is fresh
        assert sampler.latest() is fresh


async def test_slow_reader_loses_the_oldest() -> None:
    sampler = Sampler(Path("/"))
    async with aclosing(sampler.subscribe()) as live:
        coming = asyncio.ensure_future(anext(live))
        await asyncio.sleep(0)
        first = await sampler.fresh()
        assert await coming is first
        taken = [await sampler.fresh() for _ in range(QUEUE_LENGTH + 3)]
        assert [await anext(live) for _ in range(QUEUE_LENGTH)] == taken[-QUEUE_LENGTH:]


async def test_looks_at_the_same_time_come_one_after_the_other() -> None:
    sampler = Sampler(Path("/"))
    found = await asyncio.gather(*(sampler.fresh() for _ in range(5)))
    assert len({id(one) for one in found}) == 5


async def test_first_watcher_does_not_wait_for_the_next_period() -> None:
    async with running(NEVER_SECONDS) as sampler:
        for _ in range(2):
            async with asyncio.timeout(90), aclosing(sampler.subscribe()) as live:
                await anext(live)
                await asyncio.sleep(0)


async def test_who_watches_gets_every_period() -> None:
    async with running(0.001) as sampler, aclosing(sampler.subscribe()) as live:
        found = [await anext(live) for _ in range(5)]
    assert len({id(one) for one in found}) == 5


# --- in a process of its own, over a fake NVML --------------------------------

PROGRAM = """
import asyncio, sys
from contextlib import aclosing
from pathlib import Path
import msgspec
from hydra_box.sampler import Sampler

async def main():
    sampler = Sampler(Path("/"), seconds=0.01, timeout_seconds=float(sys.argv[1]))
    task = asyncio.create_task(sampler.run())
    async with aclosing(sampler.subscribe()) as live:
        async for machine in live:
            sys.stdout.buffer.write(msgspec.json.encode(machine) + b"\\n")
            sys.stdout.buffer.flush()

asyncio.run(main())
"""


class Watched:
    """A process that samples and tells what it finds."""

    def __init__(self, nvml: FakeNvml, timeout_seconds: float) -> None:
        self.nvml = nvml
        self._process = subprocess.Popen(
            (sys.executable, "-c", PROGRAM, str(timeout_seconds)),
            env={**os.environ, **nvml.environ},
            stdout=subprocess.PIPE,
        )

    def until(self, condition: Callable[[Machine], bool]) -> Machine:
        """The first sample of which this is true."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            machine = msgspec.json.decode(line, type=Machine)
            if condition(machine):
                return machine
        raise AssertionError("the process ended")

    def close(self) -> None:
        """End it."""
        assert self._process.stdout is not None
        self._process.kill()
        self._process.stdout.close()
        self._process.wait()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    """Starts a process that samples two GPUs."""
    started: list[Watched] = []

    def start(timeout_seconds: float = 60.0) -> Watched:
        nvml = FakeNvml(tmp_path, two_rtx_3090_one_half_occupied())
        started.append(Watched(nvml, timeout_seconds))
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_changes_are_seen(watch: Callable[..., Watched]) -> None:
    watched = watch()
    there = watched.nvml.machine
    first, second = there.gpus
    assert watched.until(lambda _: True).gpus == there.gpus
    watched.nvml.hold(first.uuid, (99, GIB))
    left = first.free_bytes - GIB
    # The change may come in the middle of a look, between memory and processes.
    watched.until(lambda now: bool(now.gpus[0].processes) and now.gpus[0].free_bytes == left)
    watched.nvml.become(there)
    watched.nvml.lose(second.uuid)
    found = watched.until(lambda machine: bool(machine.lost_gpus))
    assert [gpu.uuid for gpu in found.gpus] == [first.uuid]
    watched.nvml.become(there)
    watched.until(lambda machine: machine.gpus == there.gpus and not machine.lost_gpus)


def test_driver_that_hangs_is_told_and_holds_nobody_up(watch: Callable[..., Watched]) -> None:
    watched = watch(timeout_seconds=0.5)
    there = watched.nvml.machine
    watched.until(lambda machine: machine.gpus == there.gpus)
    watched.nvml.hang()
    found = watched.until(lambda machine: machine.gpu_condition is GpuCondition.ERROR)
    assert found.gpus == ()
    assert {one.uuid for one in found.lost_gpus} == {gpu.uuid for gpu in there.gpus}
    assert "has not answered for" in found.gpu_message
    assert "; hint: " in found.gpu_message
    assert found.ram_available_bytes > 0
    watched.nvml.become(there)
    found = watched.until(lambda machine: machine.gpus == there.gpus)
    assert found.lost_gpus == ()
