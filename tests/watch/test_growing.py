"""Instances that hold more and more: told, and replaced when the machine has no more to give."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from hydra_box.alarms import Alarms
from hydra_box.events import EventBus
from hydra_box.journal import Journal
from hydra_box.measure import holding
from hydra_box.plan.growth import GPU_RESERVE_BYTES, LEAST_GROWTH_BYTES
from hydra_box.sampler import Sampler
from hydra_box.store import Store
from hydra_box.supervisor.instances import Instances
from hydra_box.types import CPU, InstanceState, Machine, MeasuredMemory
from hydra_box.watch.growth import Growth
from tests.fakes.nvml_prober import Prober
from tests.machines import GIB, MIB, cpu_only
from tests.samples import a_service, an_instance

GROWER = """
import sys
held = []
print("ready", flush=True)
for line in sys.stdin:
    size = int(line)
    if size < 0:
        held.clear()
    else:
        held.append(bytearray(b"x") * size)
    print("done", flush=True)
"""


@dataclass
class Grower:
    """A process that holds what it is told to."""

    process: subprocess.Popen[str]

    def hold(self, size_bytes: int) -> None:
        """Take so much more; below 0: give all of it back."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{size_bytes}\n")
        self.process.stdin.flush()
        self._read("done")

    def _read(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == word


@contextmanager
def grower() -> Iterator[Grower]:
    with subprocess.Popen(
        (sys.executable, "-c", GROWER), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        one = Grower(process)
        one._read("ready")
        try:
            yield one
        finally:
            process.kill()


class StillSampler(Sampler):
    """A machine that a test sets."""

    machine: Machine = cpu_only()

    def latest(self) -> Machine:
        return self.machine


@dataclass
class Watched:
    """A watch over one instance, which is a growing process."""

    growth: Growth
    alarms: Alarms
    sampler: StillSampler
    process: Grower
    replaced: list[str]


@asynccontextmanager
async def watched(directory: Path, device: str = CPU) -> AsyncIterator[Watched]:
    store = await Store.open(directory / "hydra-box.db")
    journal = Journal(store, EventBus())
    instances, service = Instances(store, journal), a_service("demo")
    alarms, sampler = Alarms(journal.record), StillSampler(directory)
    replaced: list[str] = []
    try:
        with grower() as process:
            memory = MeasuredMemory(
                device=device,
                predicted_bytes=100 * MIB,
                measured_bytes=100 * MIB,
                private_bytes=holding(process.process.pid).private_bytes,
            )
            instances.save(
                an_instance(
                    "demo-00000001",
                    service_id=service.id,
                    state=InstanceState.READY,
                    pid=process.process.pid,
                    measured=(memory,),
                )
            )
            growth = Growth(
                instances=instances,
                services=lambda: (service,),
                sampler=sampler,
                alarms=alarms,
                journal=journal,
                replace=replaced.append,
                percent=25,
                ram_reserve_bytes=GIB,
            )
            yield Watched(growth, alarms, sampler, process, replaced)
    finally:
        await journal.flush()
        await journal.close()
        await store.close()


async def test_an_instance_that_grows_is_told_until_it_shrinks(tmp_path: Path) -> None:
    async with watched(tmp_path) as seen:
        await seen.growth.look()
        seen.process.hold(LEAST_GROWTH_BYTES // 2)
        await seen.growth.look()
        assert seen.alarms.list() == ()
        seen.process.hold(LEAST_GROWTH_BYTES)
        await seen.growth.look()
        (attention,) = seen.alarms.list()
        assert attention.service_name == "demo"
        assert attention.message.startswith("demo-00000001 holds 8")
        assert attention.message.endswith(" MiB of memory, and its budget is 100 MiB")
        assert seen.replaced == []
        seen.process.hold(-1)
        await seen.growth.look()
        assert seen.alarms.list() == ()


async def test_what_it_grew_by_under_an_earlier_daemon_counts(tmp_path: Path) -> None:
    async with watched(tmp_path) as seen:
        seen.process.hold(2 * LEAST_GROWTH_BYTES)
        await seen.growth.look()
        (attention,) = seen.alarms.list()
        assert attention.message.startswith("demo-00000001 holds 1,1")


async def test_one_that_crowds_the_machine_out_is_replaced(tmp_path: Path) -> None:
    async with watched(tmp_path) as seen:
        await seen.growth.look()
        seen.sampler.machine = msgspec.structs.replace(cpu_only(), ram_available_bytes=GIB - 1)
        await seen.growth.look()
        assert seen.replaced == [], "it has not outgrown its budget"
        seen.process.hold(2 * LEAST_GROWTH_BYTES)
        await seen.growth.look()
        assert seen.replaced == ["demo-00000001"]


async def test_one_that_is_gone_is_not_looked_at(tmp_path: Path) -> None:
    async with watched(tmp_path) as seen:
        await seen.growth.look()
        seen.process.hold(2 * LEAST_GROWTH_BYTES)
        seen.process.process.kill()
        await asyncio.to_thread(seen.process.process.wait)
        await seen.growth.look()
        assert seen.alarms.list() == ()


# --- on a GPU: what the driver says of its processes ----------------------------


@dataclass
class OnGpu:
    """What NVML says that the watched process holds of the GPU."""

    prober: Prober
    watched: Watched

    @property
    def uuid(self) -> str:
        return self.prober.nvml.machine.gpus[0].uuid

    async def look(self, held_bytes: int, others_bytes: int = 0) -> None:
        """Look once, while it holds so much and other processes hold the rest."""
        pid = self.watched.process.process.pid
        others = ((1, others_bytes),) if others_bytes else ()
        self.prober.nvml.hold(self.uuid, (pid, held_bytes), *others)
        self.watched.sampler.machine = await asyncio.to_thread(self.prober.ask_look)
        await self.watched.growth.look()


@pytest.fixture
async def on_gpu(tmp_path: Path) -> AsyncIterator[OnGpu]:
    with closing(Prober(tmp_path)) as prober:
        device = prober.nvml.machine.gpus[0].uuid
        async with watched(tmp_path, device) as seen:
            yield OnGpu(prober, seen)


async def test_one_that_grows_on_a_gpu_is_told_until_it_shrinks(on_gpu: OnGpu) -> None:
    alarms, enough = on_gpu.watched.alarms, 100 * MIB + LEAST_GROWTH_BYTES
    await on_gpu.look(enough)
    assert alarms.list() == ()
    await on_gpu.look(enough + MIB)
    assert alarms.raised() == {f"growth.demo-00000001.{on_gpu.uuid}"}
    (attention,) = alarms.list()
    assert attention.message == (
        f"demo-00000001 holds 613 MiB of the memory of {on_gpu.uuid}, and its budget is 100 MiB"
    )
    await on_gpu.look(enough - MIB)
    assert len(alarms.list()) == 1, "half of the excess is not gone"
    await on_gpu.look(enough - LEAST_GROWTH_BYTES // 2)
    assert alarms.list() == ()
    assert on_gpu.watched.replaced == []


async def test_one_that_crowds_its_gpu_out_is_replaced_and_others_there_are_not(
    on_gpu: OnGpu,
) -> None:
    total = on_gpu.prober.nvml.machine.gpus[0].free_bytes
    within = 100 * MIB + LEAST_GROWTH_BYTES
    await on_gpu.look(within, total - within)
    assert on_gpu.watched.replaced == [], "the GPU is full, and that is not its doing"
    grown = within + MIB
    await on_gpu.look(grown, total - grown - GPU_RESERVE_BYTES)
    assert on_gpu.watched.replaced == [], "just enough is left"
    await on_gpu.look(grown, total - grown - GPU_RESERVE_BYTES + 1)
    assert on_gpu.watched.replaced == ["demo-00000001"]
    assert on_gpu.watched.alarms.list() == ()


async def test_one_of_which_the_driver_tells_nothing_is_left_alone(on_gpu: OnGpu) -> None:
    await on_gpu.look(100 * MIB + 2 * LEAST_GROWTH_BYTES)
    assert len(on_gpu.watched.alarms.list()) == 1
    on_gpu.prober.nvml.hold(on_gpu.uuid)
    on_gpu.watched.sampler.machine = await asyncio.to_thread(on_gpu.prober.ask_look)
    await on_gpu.watched.growth.look()
    assert on_gpu.watched.alarms.list() == ()
    assert on_gpu.watched.replaced == []
