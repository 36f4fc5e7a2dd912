"""Instances that hold more and more: told, and replaced when the machine has no more to give."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hydra_box.alarms import Alarms
from hydra_box.events import EventBus
from hydra_box.instances import Instances
from hydra_box.journal import Journal
from hydra_box.plan.growth import LEAST_GROWTH_BYTES
from hydra_box.sampler import Sampler
from hydra_box.store import Store
from hydra_box.types import CPU, InstanceState, Machine, MeasuredMemory
from hydra_box.watch.growth import Growth
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
async def watched(directory: Path) -> AsyncIterator[Watched]:
    store = await Store.open(directory / "hydra-box.db")
    journal = Journal(store, EventBus())
    instances, service = Instances(store, journal), a_service("demo")
    alarms, sampler = Alarms(journal.record), StillSampler(directory)
    replaced: list[str] = []
    try:
        with grower() as process:
            memory = MeasuredMemory(device=CPU, predicted_bytes=100 * MIB, measured_bytes=100 * MIB)
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
