"""Blocks that end by someone else's word, and the cancellations that are not theirs."""

from __future__ import annotations

import asyncio

import pytest

from hydra_box.gateway.interrupt import Interrupt, Interrupted


async def fired_block() -> None:
    with Interrupt() as block:
        asyncio.get_running_loop().call_soon(block.fire)
        await asyncio.Event().wait()


async def test_a_block_ends_where_it_waits() -> None:
    with pytest.raises(Interrupted):
        await fired_block()
    await asyncio.sleep(0)  # The task goes on as if nothing had been.


async def test_after_the_block_it_does_nothing() -> None:
    with Interrupt() as block:
        pass
    block.fire()
    await asyncio.sleep(0)


async def test_a_cancellation_by_others_stays_one() -> None:
    inside = asyncio.Event()

    async def wait() -> None:
        with Interrupt():
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_outer_of_two_blocks_wins_when_both_fire() -> None:
    loop = asyncio.get_running_loop()
    seen: list[str] = []

    async def nested() -> None:
        with Interrupt() as outer:
            try:
                with Interrupt() as inner:
                    loop.call_soon(inner.fire)
                    loop.call_soon(outer.fire)
                    await asyncio.Event().wait()
            except Interrupted:
                seen.append("inner")

    with pytest.raises(Interrupted):
        await nested()
    assert seen == []
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_an_error_of_the_block_itself_is_kept() -> None:
    async def fails_when_ended() -> None:
        with Interrupt() as block:
            asyncio.get_running_loop().call_soon(block.fire)
            try:
                await asyncio.Event().wait()
            finally:
                raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await fails_when_ended()
