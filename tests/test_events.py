"""The event bus: everyone hears everything in order, and nobody is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from hydra_box.events import QUEUE_LENGTH, EventBus
from hydra_box.types import Event, Transfer
from tests.samples import an_event


def _numbered(*numbers: int) -> list[Event]:
    return [msgspec.structs.replace(an_event(), id=number) for number in numbers]


async def _take(events: AsyncIterator[Event], count: int) -> list[Event]:
    async with asyncio.timeout(60):
        return [await anext(events) for _ in range(count)]


async def _all(events: AsyncIterator[Event]) -> list[Event]:
    async with asyncio.timeout(60):
        return [event async for event in events]


async def test_every_subscriber_hears_everything_in_order() -> None:
    bus = EventBus()
    events = _numbered(1, 2, 3)
    with bus.subscribe() as first, bus.subscribe() as second:
        for event in events:
            bus.publish(event)
        assert await _take(first, 3) == events
        assert await _take(second, 3) == events


def test_what_happened_is_counted_by_kind_and_progress_is_not() -> None:
    bus = EventBus()
    (event,) = _numbered(1)
    for _ in range(2):
        bus.publish(event)
    transfer = Transfer(done_bytes=1, total_bytes=2)
    bus.publish(msgspec.structs.replace(event, kind="download.progress", transfer=transfer))
    assert bus.happened == {event.kind: 2}


async def test_a_subscriber_that_waits_is_woken() -> None:
    bus = EventBus()
    with bus.subscribe() as events:
        waiting = asyncio.create_task(_take(events, 1))
        await asyncio.sleep(0)
        bus.publish(*_numbered(1))
        assert await waiting == _numbered(1)


async def test_only_what_is_published_meanwhile_is_heard() -> None:
    bus = EventBus()
    before, during, after = _numbered(1, 2, 3)
    bus.publish(before)
    with bus.subscribe() as events:
        bus.publish(during)
    bus.publish(after)
    bus.close()
    assert await _take(events, 1) == [during]
    assert bus._queues == set()


async def test_one_that_lags_loses_the_oldest_and_holds_up_nobody() -> None:
    bus = EventBus()
    events = _numbered(*range(QUEUE_LENGTH + 3))
    with bus.subscribe() as slow, bus.subscribe() as quick:
        for event in events:
            bus.publish(event)
            assert await _take(quick, 1) == [event]
        assert await _take(slow, QUEUE_LENGTH) == events[3:]


async def test_closing_ends_every_subscription_after_what_it_has() -> None:
    bus = EventBus()
    with bus.subscribe() as waiting, bus.subscribe() as behind:
        ending = asyncio.create_task(_all(waiting))
        for event in _numbered(1, 2):
            bus.publish(event)
        bus.close()
        assert await _all(behind) == _numbered(1, 2)
        assert await ending == _numbered(1, 2)
    with bus.subscribe() as late:
        assert await _all(late) == []


async def test_closing_ends_one_whose_queue_is_full() -> None:
    bus = EventBus()
    with bus.subscribe() as slow:
        for event in _numbered(*range(QUEUE_LENGTH)):
            bus.publish(event)
        bus.close()
        assert len(await _all(slow)) == QUEUE_LENGTH - 1
