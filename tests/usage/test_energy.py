"""The energy of GPUs: measured while an instance works, and given to its requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from hydra_box.config import Settings
from hydra_box.gateway.pool import Pool
from hydra_box.sampler import Sampler
from hydra_box.types import CPU, Instance, Machine, RequestRecord
from hydra_box.usage.energy import SAMPLE_SECONDS, EnergyMeter
from tests.machines import gpu, machine
from tests.samples import a_request, an_instance

FIRST, SECOND = "GPU-1", "GPU-2"


class Bench:
    """A meter whose clock, power and work are told by the test."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.watts: dict[str, float | None] = {FIRST: 100.0, SECOND: 40.0}
        self.working: set[str] = set()
        self.instances = [
            an_instance("one", device=FIRST),
            an_instance("two", device=SECOND),
            an_instance("both", device=f"{FIRST},{SECOND}"),
            an_instance("slow", device=CPU),
            an_instance("new", device=""),
        ]
        pool, sampler = Pool(Settings()), Sampler(tmp_path)
        monkeypatch.setattr(pool, "in_flight", lambda instance: int(instance in self.working))
        monkeypatch.setattr(sampler, "fresh", self._machine)
        self.meter = EnergyMeter(
            pool=pool, sampler=sampler, instances=self._instances, clock=lambda: self.now
        )

    def _instances(self) -> list[Instance]:
        return self.instances

    async def _machine(self) -> Machine:
        card = gpu("NVIDIA GeForce RTX 4090", 24564, (8, 9))
        return machine(
            *(
                msgspec.structs.replace(card, uuid=uuid, power_watts=watts)
                for uuid, watts in self.watts.items()
            ),
            ram_gib=64,
            free_ram_gib=48,
        )

    async def work(self, seconds: float, *instances: str) -> None:
        """So long these have a request in flight; then a look at it."""
        self.working = set(instances)
        await self.meter.tick()
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            await self.meter.tick()
        self.working = set()
        await self.meter.tick()

    def share(self, *requests: RequestRecord) -> list[float]:
        """Joules of the requests."""
        shares = self.meter.share(requests)
        return [shares.get(one.id, 0) / 1000 for one in requests]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def by(instance: str, tokens: int = 10, **changes: Any) -> RequestRecord:
    return a_request(instance_id=instance, completion_tokens=tokens, **changes)


async def test_requests_get_what_was_drawn_while_their_instance_worked(bench: Bench) -> None:
    await bench.work(10, "one")
    assert bench.share(by("one", 30), by("one", 10)) == pytest.approx([750, 250], abs=0.1)
    assert bench.share(by("one")) == [0]


async def test_idle_power_is_nobodys(bench: Bench) -> None:
    await bench.work(0)
    bench.now += 3600
    await bench.work(0)
    await bench.work(2, "two")
    bench.now += 3600
    assert bench.share(by("one"), by("two")) == pytest.approx([0, 80], abs=0.1)


async def test_power_that_changes_is_the_mean_of_two_samples(bench: Bench) -> None:
    bench.working = {"one"}
    await bench.meter.tick()
    bench.watts[FIRST] = 300.0
    bench.now += SAMPLE_SECONDS
    await bench.meter.tick()
    assert bench.share(by("one")) == pytest.approx([200], abs=0.1)


async def test_an_instance_on_two_gpus_draws_from_both(bench: Bench) -> None:
    await bench.work(1, "both", "two")
    assert bench.share(by("both"), by("two")) == pytest.approx([120, 20], abs=0.1)


async def test_what_nobody_can_be_given_waits_for_the_next(bench: Bench) -> None:
    await bench.work(1, "one")
    assert bench.share(by("two"), by("slow"), by("upstream-1"), by("one", 0)) == [0, 0, 0, 0]
    await bench.work(1, "one")
    assert bench.share(by("one")) == pytest.approx([200], abs=0.1)


async def test_no_energy_is_lost_between_many_batches(bench: Bench) -> None:
    bench.watts[FIRST] = 33.333
    total = 0.0
    for _ in range(50):
        await bench.work(0.3, "one")
        total += sum(bench.share(by("one", 7), by("one", 3), by("one", 1)))
    assert total == pytest.approx(33.333 * 0.3 * 50, abs=0.01)


async def test_a_request_whose_instance_has_just_gone_gets_its_share(bench: Bench) -> None:
    await bench.work(1, "one")
    bench.instances = []
    assert bench.share(by("one")) == pytest.approx([100], abs=0.1)


async def test_a_gpu_that_tells_no_power_draws_nothing(bench: Bench) -> None:
    bench.watts[FIRST] = None
    await bench.work(2, "one")
    assert bench.share(by("one")) == [0]
    bench.watts = {}
    await bench.work(2, "two")
    assert bench.share(by("two")) == [0]
