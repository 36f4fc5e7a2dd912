"""Whose turn it is when a slot becomes free, and who has to leave a full queue."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from hydra_box.gateway.queue import Queue, Waiter
from hydra_box.types import Service
from tests.gateway.asking import a_key, answer
from tests.gateway.conftest import StartGateway
from tests.gateway.harness import USAGE, Gateway, until


class OneByOne:
    """An engine that lets one request through at a time, and notes whose it was."""

    def __init__(self) -> None:
        self.gate = asyncio.Semaphore(0)
        self.turns: list[str] = []
        self.tokens: dict[str, int] = {}
        """What the answers to some have; those to all others have three."""

    async def answer(self, request: web.Request) -> web.Response:
        await self.gate.acquire()
        user = json.loads(await request.read())["user"]
        self.turns.append(user)
        tokens = self.tokens.get(user, USAGE["completion_tokens"])
        return web.json_response({"usage": USAGE | {"completion_tokens": tokens}})


async def ask(
    gateway: Gateway, service: Service, key: str, name: str, count: int
) -> list[asyncio.Task[tuple[int, Any]]]:
    """So many requests of one key, in the queue or at the engine before this returns."""
    before = gateway.pool.stats(service.id)
    tasks = [
        asyncio.create_task(gateway.ask(service, key=key, user=name, max_tokens=500))
        for _ in range(count)
    ]
    wanted = before.requests_in_flight + before.requests_queued + count

    def there() -> bool:
        stats = gateway.pool.stats(service.id)
        return stats.requests_in_flight + stats.requests_queued == wanted

    await until(there, "they wait")
    return tasks


async def test_a_crowd_does_not_keep_others_waiting(gateway: Gateway) -> None:
    service, engine = gateway.service(), OneByOne()
    await gateway.engine(service, engine.answer, slots=1)
    heavy = await ask(gateway, service, await a_key(gateway, "heavy"), "heavy", 30)
    others = []
    for name in ("one", "two", "three"):
        others += await ask(gateway, service, await a_key(gateway, name), name, 1)
    for _ in range(34):
        engine.gate.release()
    await asyncio.gather(*heavy, *others)
    assert all(engine.turns.index(name) < 10 for name in ("one", "two", "three"))
    assert gateway.nothing_left(service)


async def test_who_takes_more_than_was_thought_waits_longer(gateway: Gateway) -> None:
    service, engine = gateway.service(), OneByOne()
    await gateway.engine(service, engine.answer, slots=1)
    engine.tokens["greedy"] = 100_000
    first = await ask(gateway, service, await a_key(gateway, "greedy"), "greedy", 8)
    other = await ask(gateway, service, await a_key(gateway, "modest"), "modest", 8)
    for _ in range(16):
        engine.gate.release()
    await asyncio.gather(*first, *other)
    # Its first turns came before it was known what they take; then all others come first.
    last_modest = 15 - engine.turns[::-1].index("modest")
    assert last_modest < 12
    assert engine.turns[last_modest + 1 :] == ["greedy"] * (15 - last_modest)


async def test_who_fills_the_queue_shuts_out_nobody_but_itself(
    start_gateway: StartGateway,
) -> None:
    async with start_gateway(queue_limit=4) as gateway:
        service, engine = gateway.service(), OneByOne()
        await gateway.engine(service, engine.answer, slots=1)
        crowd = await a_key(gateway, "crowd")
        tasks = await ask(gateway, service, crowd, "crowd", 5)
        assert (await gateway.ask(service, key=crowd, user="crowd"))[0] == 503
        late = asyncio.create_task(
            gateway.ask(service, key=await a_key(gateway, "late"), user="late")
        )
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result()[0] for task in done] == [503]
        for _ in range(5):
            engine.gate.release()
        assert (await late)[0] == 200
        assert {(await task)[0] for task in waiting} == {200}


@pytest.mark.parametrize("failed_first", [False, True])
async def test_those_that_failed_somewhere_stand_before_all_others(failed_first: bool) -> None:
    queue, loop = Queue(), asyncio.get_running_loop()
    instance = object()

    def waiter(name: str, *, failed: bool = False) -> Waiter:
        gone = {instance} if failed else set()
        return Waiter(lease=loop.create_future(), failed=gone, flow=name, cost=1)  # type: ignore[arg-type]

    again, fresh = waiter("again", failed=True), waiter("fresh")
    for one in (again, fresh) if failed_first else (fresh, again):
        queue.add(one)
    offered: list[Waiter] = []

    def lend(one: Waiter) -> bool:
        offered.append(one)
        return False

    queue.serve(lend)
    assert offered == [again, fresh]
    assert len(queue) == 2
    queue.discard(again)
    queue.discard(fresh)
    queue.discard(fresh)
    assert len(queue) == 0
    assert queue.make_room("anyone") is None


async def test_a_request_that_left_is_passed_over_and_costs_nothing(gateway: Gateway) -> None:
    service = gateway.service()
    go_on = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await go_on.wait()
        return await answer(request)

    await gateway.engine(service, slow, slots=1)
    busy = asyncio.create_task(gateway.ask(service))
    await until(lambda: gateway.pool.stats(service.id).requests_in_flight, "one is busy")
    left, stays = (asyncio.create_task(gateway.ask(service)) for _ in range(2))
    await until(lambda: gateway.pool.stats(service.id).requests_queued == 2, "two wait")
    left.cancel()
    await until(lambda: gateway.pool.stats(service.id).requests_queued == 1, "one has left")
    go_on.set()
    assert [(await one)[0] for one in (busy, stays)] == [200, 200]
    await until(lambda: gateway.nothing_left(service), "nothing is left")
