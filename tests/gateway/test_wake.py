"""Requests to a service that sleeps: one wake for all of them, held or told how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hydra_box.config import Settings
from hydra_box.errors import Unavailable
from hydra_box.gateway.channel import EngineChannel
from hydra_box.gateway.endpoint import Endpoint, Lease
from hydra_box.gateway.pool import Pool
from hydra_box.types import EngineName, ServiceStatus
from tests.gateway.harness import add_instance
from tests.samples import a_service

SERVICE = a_service(idle_timeout_seconds=60.0)
SOCKET = Path("/nowhere.sock")


@dataclass
class Waker:
    """Wakes as the supervisor does: it tells the pool at once, and an instance comes later."""

    pool: Pool
    woken: list[str] = field(default_factory=list)
    doing: str | None = None
    eta: float | None = None

    def wake(self, service_id: str) -> None:
        self.woken.append(service_id)
        self.pool.put_service(SERVICE, ServiceStatus.DEPLOYING, None, waking=True)

    def progress(self, service_id: str) -> str | None:
        return self.doing

    def eta_seconds(self, service_id: str) -> float | None:
        return self.eta


@dataclass
class Sleeping:
    """A pool with a service that is asleep."""

    pool: Pool
    waker: Waker
    now: list[float]

    @property
    def endpoint(self) -> Endpoint:
        found = self.pool.find(SERVICE.access_name)
        assert found is not None
        return found

    def request(self, wait_seconds: float | None = None) -> asyncio.Task[Lease]:
        return asyncio.create_task(self.pool.acquire(self.endpoint, wait_seconds=wait_seconds))

    async def waiting(self, wait_seconds: float | None = None) -> asyncio.Task[Lease]:
        """A request that is held."""
        before = len(self.endpoint.queue)
        task = self.request(wait_seconds)
        await asyncio.sleep(0)
        assert len(self.endpoint.queue) == before + 1
        return task


@pytest.fixture
async def sleeping() -> AsyncIterator[Sleeping]:
    now = [1000.0]
    pool = Pool(Settings(queue_limit=3, wake_timeout_seconds=300), clock=lambda: now[0])
    waker = Waker(pool)
    pool.use_waker(waker)
    pool.put_service(SERVICE, ServiceStatus.RUNNING, None, asleep=True)
    yield Sleeping(pool, waker, now)
    await pool.close()


async def test_one_wake_for_all_who_wait_and_all_are_served(sleeping: Sleeping) -> None:
    tasks = [await sleeping.waiting() for _ in range(3)]
    assert sleeping.waker.woken == [SERVICE.id]
    add_instance(sleeping.pool, SERVICE.id, "a-1", SOCKET, 3)
    for task in tasks:
        sleeping.pool.release(await task)
    assert sleeping.waker.woken == [SERVICE.id]


async def test_those_who_wait_for_a_wake_are_as_few_as_in_any_queue(sleeping: Sleeping) -> None:
    tasks = [await sleeping.waiting() for _ in range(3)]
    with pytest.raises(Unavailable, match="3 requests wait"):
        await sleeping.pool.acquire(sleeping.endpoint)
    add_instance(sleeping.pool, SERVICE.id, "a-1", SOCKET, 3)
    for task in tasks:
        sleeping.pool.release(await task)


@pytest.mark.parametrize(
    ("doing", "words"),
    [
        ("reading the weights: 40 %", "is waking: reading the weights: 40 %; asked 3 s ago"),
        (None, "is waking; asked 3 s ago"),
    ],
)
async def test_who_does_not_want_to_wait_is_told_how_far_it_is(
    sleeping: Sleeping, doing: str | None, words: str
) -> None:
    with pytest.raises(Unavailable, match="is waking; asked 0 s ago") as first:
        await sleeping.pool.acquire(sleeping.endpoint, wait_seconds=0)
    assert first.value.retry_after_seconds == 5
    assert sleeping.waker.woken == [SERVICE.id]
    sleeping.now[0] += 3
    sleeping.waker.doing = doing
    with pytest.raises(Unavailable, match=words):
        await sleeping.pool.acquire(sleeping.endpoint, wait_seconds=0)
    assert sleeping.waker.woken == [SERVICE.id]


async def test_a_hold_that_is_over_is_told_how_far_it_is(sleeping: Sleeping) -> None:
    sleeping.waker.doing = "reading the weights: 99 %"
    with pytest.raises(Unavailable, match=r"is waking: reading the weights: 99 %; asked \d s ago"):
        await sleeping.pool.acquire(sleeping.endpoint, wait_seconds=0.01)


async def test_nobody_is_held_longer_than_the_box_allows() -> None:
    pool = Pool(Settings(wake_timeout_seconds=0.01))
    pool.use_waker(Waker(pool))
    pool.put_service(SERVICE, ServiceStatus.RUNNING, None, asleep=True)
    endpoint = pool.find(SERVICE.access_name)
    assert endpoint is not None
    for wait_seconds in (None, 1e6):
        with pytest.raises(Unavailable, match="is waking"):
            await pool.acquire(endpoint, wait_seconds=wait_seconds)
    await pool.close()


@pytest.mark.parametrize(
    ("start_seconds", "waited", "again"), [(20.0, 3.5, 17), (20.0, 25.0, 1), (None, 3.0, 5)]
)
async def test_who_is_sent_away_learns_when_to_come_again(
    sleeping: Sleeping, start_seconds: float | None, waited: float, again: int
) -> None:
    pool = sleeping.pool
    channel = EngineChannel(SOCKET)
    pool.add_instance(
        SERVICE.id, "a-1", channel, 1, engine=EngineName.LLAMA_CPP, start_seconds=start_seconds
    )
    await pool.remove_instance("a-1")
    pool.put_service(SERVICE, ServiceStatus.RUNNING, None, asleep=True)
    task = await sleeping.waiting()
    sleeping.now[0] += waited
    with pytest.raises(Unavailable) as told:
        await pool.acquire(sleeping.endpoint, wait_seconds=0)
    assert told.value.retry_after_seconds == again
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize(
    ("eta", "again", "soon"),
    [
        (None, 5, ""),
        (0.2, 1, ", ready in about 1 s"),
        (39.2, 40, ", ready in about 40 s"),
        (90.0, 90, ", ready in about 2 min"),
        (1e9, 600, ", ready in about 10 min"),
    ],
)
async def test_while_a_service_is_started_a_request_learns_when_it_will_serve(
    sleeping: Sleeping, eta: float | None, again: int, soon: str
) -> None:
    sleeping.pool.put_service(SERVICE, ServiceStatus.DEPLOYING, None)
    sleeping.waker.doing, sleeping.waker.eta = "2 engines before it", eta
    with pytest.raises(Unavailable) as told:
        await sleeping.pool.acquire(sleeping.endpoint)
    assert told.value.retry_after_seconds == again
    assert told.value.message.endswith(f"no instance ready: 2 engines before it{soon}")
    assert told.value.hint is not None
    assert told.value.hint.startswith(f"try again in {again} s,")


async def test_one_that_failed_says_why_and_not_that_it_is_ready_soon(sleeping: Sleeping) -> None:
    sleeping.pool.put_service(SERVICE, ServiceStatus.DEPLOYING, "signal 9")
    sleeping.waker.eta = 12.0
    with pytest.raises(Unavailable, match="no instance ready: signal 9\n") as told:
        await sleeping.pool.acquire(sleeping.endpoint)
    assert told.value.retry_after_seconds == 12


async def test_a_wake_that_stands_in_the_queue_says_so(sleeping: Sleeping) -> None:
    task = await sleeping.waiting()
    sleeping.waker.doing, sleeping.waker.eta = "2 engines before it", 33.3
    with pytest.raises(Unavailable, match="is waking: 2 engines before it; asked 0 s ago") as told:
        await sleeping.pool.acquire(sleeping.endpoint, wait_seconds=0)
    assert told.value.retry_after_seconds == 34
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (ServiceStatus.FAILED, "five boots", "has failed: five boots"),
        (ServiceStatus.STOPPED, None, "is stopped"),
        # It finds no room: the wake is over, and it tries on by itself.
        (ServiceStatus.DEPLOYING, "needs 3 GiB", "no instance ready: needs 3 GiB"),
    ],
)
async def test_a_wake_that_comes_to_nothing_is_told_at_once(
    sleeping: Sleeping, status: ServiceStatus, reason: str | None, words: str
) -> None:
    tasks = [await sleeping.waiting() for _ in range(2)]
    sleeping.pool.put_service(SERVICE, status, reason)
    for task in tasks:
        with pytest.raises(Unavailable, match=words):
            await task
    with pytest.raises(Unavailable, match=words):
        await sleeping.pool.acquire(sleeping.endpoint)


async def test_a_crash_while_waking_is_waited_out(sleeping: Sleeping) -> None:
    task = await sleeping.waiting()
    sleeping.pool.put_service(SERVICE, ServiceStatus.DEPLOYING, "signal 9", waking=True)
    with pytest.raises(Unavailable, match="is waking: signal 9"):
        await sleeping.pool.acquire(sleeping.endpoint, wait_seconds=0)
    add_instance(sleeping.pool, SERVICE.id, "a-1", SOCKET, 1)
    sleeping.pool.release(await task)


async def test_who_prefers_to_wait_may_do_so_while_a_service_is_deployed(
    sleeping: Sleeping,
) -> None:
    sleeping.pool.put_service(SERVICE, ServiceStatus.DEPLOYING, None)
    with pytest.raises(Unavailable, match="is DEPLOYING and has no instance ready"):
        await sleeping.pool.acquire(sleeping.endpoint)
    sleeping.waker.doing = "loading"
    with pytest.raises(Unavailable, match="is DEPLOYING and has no instance ready: loading"):
        await sleeping.pool.acquire(sleeping.endpoint, wait_seconds=0.01)
    task = await sleeping.waiting(wait_seconds=60)
    add_instance(sleeping.pool, SERVICE.id, "a-1", SOCKET, 1)
    sleeping.pool.release(await task)
    assert sleeping.waker.woken == []


async def test_who_prefers_not_to_wait_does_not_stand_in_the_queue(sleeping: Sleeping) -> None:
    sleeping.pool.put_service(SERVICE, ServiceStatus.RUNNING, None)
    add_instance(sleeping.pool, SERVICE.id, "a-1", SOCKET, 1)
    lease = await sleeping.pool.acquire(sleeping.endpoint)
    with pytest.raises(Unavailable, match="the one slot of"):
        await sleeping.pool.acquire(sleeping.endpoint, wait_seconds=0)
    sleeping.pool.release(lease)


async def test_a_request_that_comes_before_the_drain_gets_the_instance_there_is(
    sleeping: Sleeping,
) -> None:
    add_instance(sleeping.pool, SERVICE.id, "a-1", SOCKET, 1)
    lease = await sleeping.pool.acquire(sleeping.endpoint)
    assert lease.instance.id == "a-1"
    assert sleeping.waker.woken == [SERVICE.id]
    sleeping.pool.release(lease)


async def test_a_request_that_comes_during_the_drain_gets_the_next_instance(
    sleeping: Sleeping,
) -> None:
    add_instance(sleeping.pool, SERVICE.id, "a-1", SOCKET, 1)
    sleeping.pool.drain_instance("a-1")
    task = await sleeping.waiting()
    await sleeping.pool.remove_instance("a-1")
    assert not task.done()
    add_instance(sleeping.pool, SERVICE.id, "a-2", SOCKET, 1)
    assert (await task).instance.id == "a-2"
    sleeping.pool.release(await task)


async def test_idle_is_since_the_end_of_the_last_request(sleeping: Sleeping) -> None:
    pool, now = sleeping.pool, sleeping.now
    pool.put_service(SERVICE, ServiceStatus.RUNNING, None)
    add_instance(pool, SERVICE.id, "a-1", SOCKET, 1)
    now[0] += 7
    assert pool.idle_seconds(SERVICE.id) == 7
    lease = await pool.acquire(sleeping.endpoint)
    task = await sleeping.waiting()
    now[0] += 7
    assert pool.idle_seconds(SERVICE.id) is None
    task.cancel()
    await asyncio.wait([task])
    assert pool.idle_seconds(SERVICE.id) is None
    now[0] += 7
    pool.release(lease)
    assert pool.idle_seconds(SERVICE.id) == 0
    now[0] += 7
    pool.release(lease)
    assert pool.idle_seconds(SERVICE.id) == 7
    add_instance(pool, SERVICE.id, "a-2", SOCKET, 1)
    assert pool.idle_seconds(SERVICE.id) == 0


async def test_a_client_that_leaves_while_it_waits_leaves_nothing(sleeping: Sleeping) -> None:
    task = await sleeping.waiting()
    task.cancel()
    await asyncio.wait([task])
    assert len(sleeping.endpoint.queue) == 0
    add_instance(sleeping.pool, SERVICE.id, "a-1", SOCKET, 1)
    assert sleeping.pool.idle_seconds(SERVICE.id) == 0
    await sleeping.pool.wait_all_idle()
