"""Clients that leave: nothing of them stays."""

from __future__ import annotations

import asyncio

import httpx

from hydra_box.messages import DeployRequest
from hydra_box.types import Scope
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.e2e.streams import chat, leave_after_first_event, read_whole
from tests.waiting import eventually

CLIENTS = 500
AT_ONCE = 100


def busy_slots(box: RunningBox) -> int:
    """Slots at work, as the engines themselves say."""
    busy = 0
    for instance in box.client.service("demo").instances:
        path = str(box.paths.instance_socket(instance.id))
        with httpx.Client(transport=httpx.HTTPTransport(uds=path)) as client:
            slots = client.get("http://engine/slots").json()
            busy += sum(slot["is_processing"] for slot in slots)
    return busy


def leases(box: RunningBox) -> int:
    """Requests that the gateway believes are under way or waiting."""
    view = box.client.service("demo")
    held = sum(one.requests_in_flight for one in view.instances)
    return held + view.stats.requests_in_flight + view.stats.requests_queued


async def test_500_clients_that_leave_mid_stream_leave_nothing(start_box: StartBox) -> None:
    box = start_box()
    request = DeployRequest(model="demo", instances=2)
    model = (await asyncio.to_thread(box.deploy, request)).access_name
    key = box.key("k", Scope.INFERENCE)
    body = chat(model, max_tokens=1000, ignore_eos=True, stream=True)
    gate = asyncio.Semaphore(AT_ONCE)

    async def client() -> None:
        async with gate:
            await leave_after_first_event(box.url, key, body)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    await asyncio.to_thread(eventually, lambda: leases(box) == 0, what="no lease is held")
    await asyncio.to_thread(eventually, lambda: busy_slots(box) == 0, what="no slot is busy")
    assert box.client.service("demo").stats.requests == CLIENTS
    status, _ = await read_whole(box.url, key, chat(model, max_tokens=5))
    assert status == 200
