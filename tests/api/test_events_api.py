from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import msgspec
import pytest

from api import events as events_api
from hydra_box.client import Client
from hydra_box.errors import NotFound
from hydra_box.messages import DeployRequest
from hydra_box.types import Event
from tests.api.live import LiveBox
from tests.waiting import eventually


def happen(live: LiveBox, *messages: str) -> Event:
    """Events, stored and published as the journal does; returns the last."""

    async def record() -> Event:
        for message in messages:
            event = Event(id=0, at=1.0, kind="test.happened", message=message)
            stored = await live.box.store.add_event(event)
            live.box.events.publish(stored)
        return stored

    return live.run(record())


@pytest.fixture
def quiet(live: LiveBox) -> Iterator[LiveBox]:
    """The shared box, whose subscriptions must be as many afterwards as before."""
    eventually(lambda: live.listeners() == 0, what="earlier streams have ended")
    yield live
    eventually(lambda: live.listeners() == 0, what="no subscription is left")


def test_stored_events_come_first_then_those_that_happen(quiet: LiveBox, client: Client) -> None:
    before = happen(quiet, "before")
    told = client.events(after=before.id - 1)
    assert next(told) == before
    now = happen(quiet, "now")
    assert next(told) == now
    told.close()  # type: ignore[attr-defined]


def test_without_after_only_new_events_are_told(quiet: LiveBox, client: Client) -> None:
    happen(quiet, "before")
    told = client.events()
    found: list[Event] = []
    reader = threading.Thread(target=lambda: found.append(next(told)))
    reader.start()
    # One subscription for the events, one that waits for the end of the daemon.
    eventually(lambda: quiet.listeners() == 2, what="it listens")
    now = happen(quiet, "now")
    reader.join(30)
    assert found == [now]
    told.close()  # type: ignore[attr-defined]


def test_more_events_than_a_page_come_once_each_and_in_order(
    quiet: LiveBox, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_api, "_PAGE", 3)
    first = happen(quiet, "first")
    messages = [str(number) for number in range(8)]
    happen(quiet, *messages)
    told = client.events(after=first.id)
    assert [next(told).message for _ in messages] == messages
    told.close()  # type: ignore[attr-defined]


def test_events_that_the_bus_lost_come_from_the_store(quiet: LiveBox, client: Client) -> None:
    first = happen(quiet, "first")
    told = client.events(after=first.id - 1)
    assert next(told) == first

    async def store_only() -> None:
        event = Event(id=0, at=1.0, kind="test.happened", message="lost")
        await quiet.box.store.add_event(event)

    quiet.run(store_only())
    happen(quiet, "last")
    assert [next(told).message, next(told).message] == ["lost", "last"]
    told.close()  # type: ignore[attr-defined]


def test_the_form_is_that_of_server_sent_events(
    quiet: LiveBox, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_api, "KEEP_ALIVE_SECONDS", 0.01)
    event = happen(quiet, "two\nlines")
    headers = {"Last-Event-ID": str(event.id - 1)}
    with admin.stream("GET", "/api/v1/events", headers=headers) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        lines = answer.iter_lines()
        told = [next(lines) for _ in range(8)]
    assert told[:5] == [": connected", "", f"id: {event.id}", "event: test.happened", told[4]]
    assert msgspec.json.decode(told[4].removeprefix("data: "), type=Event) == event
    assert told[5:] == ["", ": keep-alive", ""]


def test_clients_that_leave_leave_nothing_behind(quiet: LiveBox, client: Client) -> None:
    for _ in range(20):
        with quiet.client() as one:
            told = one.events(after=0)
            next(told)
            # Not read to its end, and the connection is closed under it.
    assert client.status().version


def test_the_last_events_of_all_and_of_one_service(
    quiet: LiveBox, client: Client, model: Path
) -> None:
    # Before there is a service whose own events come in between.
    last = happen(quiet, *(str(number) for number in range(5)))
    assert [one.message for one in client.recent_events(limit=3)] == ["2", "3", "4"]
    assert client.recent_events()[-1] == last
    service = client.deploy(DeployRequest(model=str(model), name="told"))
    eventually(lambda: client.service("told").ready_instances, what="it is ready")
    for name in ("told", service.id, service.access_name):
        of_service = partial(client.recent_events, service=name)
        kinds = [one.kind for one in eventually(of_service, what="an event of it is stored")]
        assert kinds[0] == "service.deployed"
        assert "test.happened" not in kinds
    client.delete("told", confirm="told")
    eventually(lambda: not client.services(), what="it is gone")


def test_recent_events_that_cannot_be_told(client: Client, admin: httpx.Client) -> None:
    with pytest.raises(NotFound, match="there is no service 'nobody'"):
        client.recent_events(service="nobody")
    for limit in (0, 1001):
        answer = admin.get("/api/v1/events/recent", params={"limit": limit})
        assert answer.status_code == 400
