"""Slots lent and given back, and the queue in front of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hydra_box.config import Settings
from hydra_box.errors import ModelNotFound, Unavailable
from hydra_box.gateway.endpoint import Endpoint, Lease, PooledInstance
from hydra_box.gateway.pool import Pool
from hydra_box.types import DesiredState, EngineName, Service, ServiceStatus
from tests.gateway.harness import add_instance

SERVICE = Service(
    id="svc-1",
    name="a",
    access_name="u-1/a",
    owner_id="u-1",
    public=False,
    base_model="demo",
    model_path="/nowhere.gguf",
    engine=EngineName.LLAMA_CPP,
    context_length=512,
    slots=2,
    desired_instances=2,
    desired_state=DesiredState.RUNNING,
    created_at=1.0,
)
SOCKET = Path("/nowhere.sock")


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool(Settings(queue_limit=3, queue_timeout_seconds=60))
    pool.put_service(SERVICE, ServiceStatus.RUNNING, None)
    yield pool
    await pool.close()


def endpoint(pool: Pool) -> Endpoint:
    found = pool.find("u-1/a")
    assert found is not None
    return found


async def waiting(pool: Pool, failed: set[PooledInstance] | None = None) -> asyncio.Task[Lease]:
    """A request that stands in the queue."""
    before = pool.stats("svc-1").requests_queued
    task = asyncio.create_task(pool.acquire(endpoint(pool), failed or set()))
    await asyncio.sleep(0)
    assert pool.stats("svc-1").requests_queued == before + 1
    return task


async def test_requests_spread_by_least_in_flight(pool: Pool) -> None:
    for name in ("a-1", "a-2", "a-3"):
        add_instance(pool, "svc-1", name, SOCKET, 2)
    leases = [await pool.acquire(endpoint(pool)) for _ in range(6)]
    assert [pool.in_flight(name) for name in ("a-1", "a-2", "a-3")] == [2, 2, 2]
    assert {lease.instance.id for lease in leases[:3]} == {"a-1", "a-2", "a-3"}
    for lease in leases:
        pool.release(lease)


async def test_release_is_idempotent(pool: Pool) -> None:
    add_instance(pool, "svc-1", "a-1", SOCKET, 2)
    first, second = [await pool.acquire(endpoint(pool)) for _ in range(2)]
    pool.release(first)
    pool.release(first)
    assert pool.in_flight("a-1") == 1
    pool.release(second)
    assert pool.stats("svc-1").requests_in_flight == 0


async def test_the_queue_is_first_in_first_out_and_retries_go_first(pool: Pool) -> None:
    add_instance(pool, "svc-1", "a-1", SOCKET, 1)
    add_instance(pool, "svc-1", "a-2", SOCKET, 1)
    one, two = [await pool.acquire(endpoint(pool)) for _ in range(2)]
    first, second = await waiting(pool), await waiting(pool)
    retried = await waiting(pool, {one.instance})
    pool.release(one)  # Not for the one that failed there.
    assert (await first).instance is one.instance
    pool.release(two)
    assert (await retried).instance is two.instance
    pool.release(await first)
    assert (await second).instance is one.instance
    for lease in (await retried, await second):
        pool.release(lease)
    await asyncio.wait_for(pool.wait_all_idle(), 60)


async def test_an_instance_that_comes_wakes_those_who_wait(pool: Pool) -> None:
    add_instance(pool, "svc-1", "a-1", SOCKET, 1)
    lease = await pool.acquire(endpoint(pool))
    tasks = [await waiting(pool) for _ in range(3)]
    add_instance(pool, "svc-1", "a-2", SOCKET, 2)
    assert {(await task).instance.id for task in tasks[:2]} == {"a-2"}
    pool.release(lease)
    assert (await tasks[2]).instance.id == "a-1"
    for task in tasks:
        pool.release(await task)


async def test_the_next_start_of_an_instance_is_another_one(pool: Pool) -> None:
    add_instance(pool, "svc-1", "a-1", SOCKET, 1)
    lease = await pool.acquire(endpoint(pool))
    pool.release(lease)
    retried = await waiting(pool, {lease.instance})
    await pool.remove_instance("a-1")
    add_instance(pool, "svc-1", "a-1", SOCKET, 1)
    again = await retried
    assert again.instance is not lease.instance
    pool.release(again)


async def test_a_failed_instance_that_stays_may_try_again(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hydra_box.gateway.waiting.FORGIVE_SECONDS", 0.01)
    add_instance(pool, "svc-1", "a-1", SOCKET, 1)
    lease = await pool.acquire(endpoint(pool))
    pool.release(lease)
    again = await asyncio.wait_for(pool.acquire(endpoint(pool), {lease.instance}), 60)
    assert again.instance is lease.instance
    pool.release(again)


async def test_a_full_queue_refuses(pool: Pool) -> None:
    add_instance(pool, "svc-1", "a-1", SOCKET, 1)
    lease = await pool.acquire(endpoint(pool))
    tasks = [await waiting(pool) for _ in range(3)]
    with pytest.raises(Unavailable, match="the one slot of 'u-1/a' is busy and 3 requests wait"):
        await pool.acquire(endpoint(pool))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert pool.stats("svc-1").requests_queued == 0
    pool.release(lease)


async def test_more_instances_are_advised_where_there_may_be_some(pool: Pool) -> None:
    here = endpoint(pool)
    assert "hydra-box scale" in (here.full().hint or "")
    here.service = msgspec.structs.replace(here.service, engine=EngineName.UPSTREAM)
    hint = here.full().hint or ""
    assert "scale" not in hint
    assert "hydra-box upstreams list a " in hint


async def test_a_wait_that_is_too_long_is_refused() -> None:
    pool = Pool(Settings(queue_timeout_seconds=0.01))
    pool.put_service(SERVICE, ServiceStatus.RUNNING, None)
    add_instance(pool, "svc-1", "a-1", SOCKET, 1)
    lease = await pool.acquire(endpoint(pool))
    with pytest.raises(Unavailable, match=r"became free in 0\.01 s") as caught:
        await pool.acquire(endpoint(pool))
    assert caught.value.retry_after_seconds == 5
    assert pool.stats("svc-1").requests_queued == 0
    pool.release(lease)
    await pool.close()


async def test_a_slot_lent_to_someone_who_leaves_comes_back(pool: Pool) -> None:
    add_instance(pool, "svc-1", "a-1", SOCKET, 1)
    lease = await pool.acquire(endpoint(pool))
    task = await waiting(pool)
    pool.release(lease)
    task.cancel()  # In the same turn of the loop: the slot is lent to it already.
    assert pool.in_flight("a-1") == 1
    with pytest.raises(asyncio.CancelledError):
        await task
    assert pool.in_flight("a-1") == 0
    await asyncio.wait_for(pool.wait_all_idle(), 60)


@pytest.mark.parametrize(
    ("status", "reason", "words", "retry_after"),
    [
        (ServiceStatus.DEPLOYING, "loading, 40 %", "has no instance ready: loading, 40 %", 5),
        (ServiceStatus.SCALING, None, "is SCALING and has no instance ready", 5),
        (ServiceStatus.STOPPED, None, "is stopped", None),
        (ServiceStatus.FAILED, "not enough memory", "has failed: not enough memory", None),
    ],
)
async def test_a_service_that_cannot_serve_says_why(
    pool: Pool, status: ServiceStatus, reason: str | None, words: str, retry_after: int | None
) -> None:
    pool.put_service(SERVICE, status, reason)
    with pytest.raises(Unavailable) as caught:
        await pool.acquire(endpoint(pool))
    assert words in caught.value.message
    assert caught.value.retry_after_seconds == retry_after
    assert (caught.value.hint or "").endswith("hydra-box start a") is (retry_after is None)


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ("it refuses the key; hint: give it another", "give it another"),
        ("it refuses the key", "hydra-box upstreams list a shows them all"),
    ],
)
async def test_upstreams_that_failed_may_come_back_by_themselves(
    pool: Pool, reason: str, hint: str
) -> None:
    service = msgspec.structs.replace(SERVICE, engine=EngineName.UPSTREAM)
    pool.put_service(service, ServiceStatus.FAILED, reason)
    with pytest.raises(Unavailable) as caught:
        await pool.acquire(endpoint(pool))
    assert caught.value.message == "the service 'u-1/a' has failed: it refuses the key"
    assert (caught.value.hint, caught.value.retry_after_seconds) == (hint, 5)


async def test_those_who_wait_learn_that_the_service_is_gone(pool: Pool) -> None:
    add_instance(pool, "svc-1", "a-1", SOCKET, 1)
    lease = await pool.acquire(endpoint(pool))
    stopped = await waiting(pool)
    pool.put_service(SERVICE, ServiceStatus.STOPPED, None)
    with pytest.raises(Unavailable, match="is stopped"):
        await stopped
    pool.put_service(SERVICE, ServiceStatus.RUNNING, None)
    deleted = await waiting(pool)
    pool.drop_service("svc-1")
    with pytest.raises(ModelNotFound):
        await deleted
    assert pool.find("u-1/a") is None
    pool.release(lease)
    await pool.wait_idle("a-1")


async def test_draining(pool: Pool) -> None:
    add_instance(pool, "svc-1", "a-1", SOCKET, 2)
    add_instance(pool, "svc-1", "a-2", SOCKET, 1)
    lease = await pool.acquire(endpoint(pool))
    assert lease.instance.id == "a-1"
    pool.drain_instance("a-1")
    other = await pool.acquire(endpoint(pool))
    assert other.instance.id == "a-2"
    await waiting_then_left(pool)
    idle = asyncio.create_task(pool.wait_idle("a-1"))
    await asyncio.sleep(0)
    assert not idle.done()
    pool.release(lease)
    await asyncio.wait_for(idle, 60)
    await pool.wait_idle("no such instance")
    pool.release(other)


async def waiting_then_left(pool: Pool) -> None:
    task = await waiting(pool)
    task.cancel()
    await asyncio.wait([task])


async def test_a_gone_instance_calls_its_requests_off(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hydra_box.gateway.closing.LAST_BYTES_SECONDS", 0.01)
    add_instance(pool, "svc-1", "a-1", SOCKET, 1)
    lease = await pool.acquire(endpoint(pool))
    lost = asyncio.Event()
    lease.on_lost = lost.set
    await pool.remove_instance("a-1")
    assert pool.in_flight("a-1") == 0
    await asyncio.wait_for(lost.wait(), 60)
    pool.release(lease)
    await asyncio.wait_for(pool.wait_all_idle(), 60)


async def test_unknown_ids_are_nothing() -> None:
    pool = Pool(Settings())
    pool.drain_instance("x")
    pool.drop_service("x")
    await pool.remove_instance("x")
    assert pool.in_flight("x") == 0
    assert pool.stats("x").requests == 0
    await pool.close()
