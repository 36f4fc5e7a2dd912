"""What services did: from the gateway's counters, and of real processes' memory."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from hydra_box import history as history_module
from hydra_box.config import Settings
from hydra_box.errors import NotFound
from hydra_box.gateway.endpoint import Endpoint
from hydra_box.gateway.pool import Pool
from hydra_box.history import INTERVAL_SECONDS, KEPT_SAMPLES, History
from hydra_box.messages import ServiceSample
from hydra_box.sampler import Sampler
from hydra_box.types import (
    Accelerator,
    DeviceMemory,
    EngineName,
    EngineOptions,
    Instance,
    InstanceState,
    Placement,
    ServiceStatus,
)
from tests.conftest import DemoBox
from tests.gateway.harness import add_instance
from tests.machines import MIB
from tests.samples import a_service, an_instance
from tests.waiting import eventually

ON_CPU = Placement(
    engine=EngineName.LLAMA_CPP,
    accelerator=Accelerator.CPU,
    devices=("cpu",),
    options=EngineOptions(context_length=512, slots=1, batch_tokens=512),
    memory=(
        DeviceMemory(
            device="cpu", weights_bytes=1, kv_cache_bytes=1, compute_bytes=1, overhead_bytes=1
        ),
    ),
)


class Clock:
    """A time that only a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A history of services whose counters and instances a test changes."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.pool = Pool(Settings())
        self.instances: list[Instance] = []
        self.history = History(
            pool=self.pool,
            instances=lambda: self.instances,
            sampler=Sampler(Path("/")),
            clock=self.clock,
            monotonic=self.clock,
        )

    def service(self, name: str) -> Endpoint:
        service = a_service(name)
        self.pool.put_service(service, ServiceStatus.RUNNING, None)
        found = self.pool.find(service.access_name)
        assert found is not None
        return found

    async def interval(self) -> None:
        self.clock.now += 10.0
        await self.history.sample()


@pytest.fixture
async def watched() -> Watched:
    return Watched()


async def test_a_sample_tells_what_happened_since_the_one_before(watched: Watched) -> None:
    endpoint = watched.service("qwen2")
    endpoint.rate.tokens, endpoint.ended = 50, 2
    for seconds in (0.1, 0.3):
        endpoint.count_first_token(seconds)
    await watched.interval()
    endpoint.rate.tokens, endpoint.ended = 51, 3
    await watched.interval()
    # Events of a stream that were no tokens are taken back in a later interval.
    endpoint.rate.tokens = 49
    await watched.interval()
    told = watched.history.of("svc-qwen2")
    assert told.interval_seconds == INTERVAL_SECONDS
    assert [one.at for one in told.samples] == [110.0, 120.0, 130.0]
    assert [one.tokens_per_second for one in told.samples] == [5.0, 0.1, 0.0]
    assert [one.requests for one in told.samples] == [2, 1, 0]
    assert told.samples[0].ttft_seconds == pytest.approx(0.2)
    assert [one.ttft_seconds for one in told.samples[1:]] == [None, None]
    assert {one.memory_bytes for one in told.samples} == {0}


async def test_requests_under_way_are_those_of_the_moment(watched: Watched, home: Path) -> None:
    endpoint = watched.service("qwen2")
    add_instance(watched.pool, "svc-qwen2", "qwen2-1", home / "none.sock", 1)
    lease = await watched.pool.acquire(endpoint)
    waiting = asyncio.create_task(watched.pool.acquire(endpoint))
    await asyncio.sleep(0)
    await watched.interval()
    watched.pool.release(lease)
    watched.pool.release(await waiting)
    await watched.interval()
    samples = watched.history.of("svc-qwen2").samples
    assert [(one.requests_in_flight, one.requests_queued) for one in samples] == [(1, 1), (0, 0)]
    await watched.pool.close()


async def test_the_memory_is_what_all_instances_of_a_service_hold(watched: Watched) -> None:
    watched.service("qwen2")
    watched.service("other")
    running = an_instance(pid=os.getpid(), state=InstanceState.READY, placement=ON_CPU)
    second = msgspec.structs.replace(running, id="qwen2-2")
    waiting = an_instance("other-1", service_id="svc-other", placement=ON_CPU)
    watched.instances = [running, waiting]
    await watched.interval()
    watched.instances = [running, second, waiting]
    await watched.interval()
    one, two = (sample.memory_bytes for sample in watched.history.of("svc-qwen2").samples)
    assert one > 10 * MIB
    assert two > 1.5 * one
    assert {sample.memory_bytes for sample in watched.history.of("svc-other").samples} == {0}


async def test_an_hour_is_kept_and_nothing_of_a_service_that_is_gone(watched: Watched) -> None:
    watched.service("qwen2")
    for _ in range(KEPT_SAMPLES + 3):
        await watched.interval()
    samples = watched.history.of("svc-qwen2").samples
    assert len(samples) == KEPT_SAMPLES
    assert samples[-1].at == watched.clock.now
    watched.pool.drop_service("svc-qwen2")
    await watched.interval()
    assert watched.history.of("svc-qwen2").samples == ()


async def test_it_goes_on_when_a_look_fails(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "INTERVAL_SECONDS", 0.001)
    watched.service("qwen2")
    failing = iter([True, True, False])
    sampled = asyncio.Event()
    sample = watched.history.sample

    async def fails_at_first() -> None:
        if next(failing, False):
            raise OSError("too many open files")
        watched.clock.now += 1
        await sample()
        sampled.set()

    monkeypatch.setattr(watched.history, "sample", fails_at_first)
    running = asyncio.create_task(watched.history.run())
    async with asyncio.timeout(90):
        await sampled.wait()
    running.cancel()
    assert watched.history.of("svc-qwen2").samples


def test_the_history_of_a_real_service(box: DemoBox) -> None:
    client = box.running.client

    def served() -> tuple[ServiceSample, ...]:
        # The first ones may be of a time when it was loading.
        samples = client.service_history("demo").samples
        return samples if samples and samples[-1].memory_bytes > 10 * MIB else ()

    samples = eventually(served, what="there is a sample")
    for name in (box.service.id, box.service.access_name):
        again = client.service_history(name).samples
        # After an hour each new one takes the place of the oldest.
        upto = again.index(samples[-1]) + 1
        assert again[:upto] == samples[-upto:]
    with pytest.raises(NotFound, match="there is no service 'nobody'"):
        client.service_history("nobody")
