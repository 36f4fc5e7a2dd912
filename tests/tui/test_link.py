from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from hydra_box.client import Client
from hydra_box.errors import DaemonUnreachable, HydraError, NotFound
from tests.conftest import DemoBox
from tests.waiting import eventually
from tui.link import Link


@pytest.fixture
def link(box: DemoBox) -> Link:
    return Link(lambda: Client(socket=box.running.paths.management_socket))


async def test_a_call_returns_and_raises(link: Link, box: DemoBox) -> None:
    assert (await link.call(lambda it: it.status())).pid == box.running.process.pid
    with pytest.raises(NotFound):
        await link.call(lambda it: it.service("no-such-service"))
    link.close()


async def test_leaving_a_stream_ends_its_thread_and_no_other(link: Link) -> None:
    async with link.stream(Client.machine_live) as one:
        first = await anext(one)
        async with link.stream(Client.machine_live) as other:
            assert (await anext(other)).ram_total_bytes == first.ram_total_bytes
        await anext(one)
    await asyncio.to_thread(eventually, lambda: not readers(), what="the threads have ended")
    link.close()


def readers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "stream"]


async def test_a_silent_stream_ends_at_once_too(link: Link) -> None:
    # Nothing happens on the box, so that its thread waits in the middle of a read.
    started = time.monotonic()
    async with link.stream(Client.events):
        await asyncio.sleep(0)
    assert time.monotonic() - started < 30
    link.close()


async def test_who_is_aborted_gets_an_error(box: DemoBox) -> None:
    client = Client(socket=box.running.paths.management_socket)
    stream = client.machine_live()
    next(stream)
    client.abort()
    with pytest.raises(HydraError):
        for _ in stream:
            pass
    client.close()


async def test_a_box_that_is_not_there(tmp_path: Path) -> None:
    link = Link(lambda: Client(socket=tmp_path / "nobody.sock"))
    with pytest.raises(DaemonUnreachable):
        await link.call(lambda it: it.status())
    with pytest.raises(DaemonUnreachable):
        async with link.stream(Client.services_live) as updates:
            await anext(updates)
    link.close()
