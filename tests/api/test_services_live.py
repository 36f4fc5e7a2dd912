"""The services from second to second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import msgspec
import pytest

from hydra_box import live as live_module
from hydra_box.client import Client
from hydra_box.errors import HydraError
from hydra_box.messages import DeployRequest, ServicesUpdate, ServiceView
from hydra_box.types import Event
from tests.api.live import LiveBox
from tests.conftest import DemoBox
from tests.fakes.engine import behave
from tests.models.tiny_gguf import write_tiny_gguf
from tests.waiting import eventually

NEVER_SECONDS = 100_000.0
TOKENS = 40


def until(
    updates: Iterator[ServicesUpdate], condition: Callable[[ServicesUpdate], object]
) -> ServicesUpdate:
    """The first update of which this is true."""
    return next(update for update in updates if condition(update))


def views_of(update: ServicesUpdate, name: str) -> list[ServiceView]:
    return [view for view in update.changed if view.name == name]


def close(updates: Iterator[ServicesUpdate]) -> None:
    """Leave, as a screen does."""
    updates.close()  # type: ignore[attr-defined]


def happen(live: LiveBox) -> None:
    """An event that changes nothing."""

    async def publish() -> None:
        live.box.events.publish(Event(id=0, at=1.0, kind="test.happened", message="now"))

    live.run(publish())


@pytest.fixture
def watched(live: LiveBox) -> Iterator[LiveBox]:
    """The shared box, which nobody may watch afterwards, as nobody does before."""
    eventually(lambda: nobody_watches(live), what="earlier readers have left")
    yield live
    eventually(lambda: nobody_watches(live), what="no reader is left")


def nobody_watches(live: LiveBox) -> bool:
    return live.box.live._looking is None and live.listeners() == 0


# --- a real daemon ---------------------------------------------------------------


def test_first_everything_then_signs_of_life(box: DemoBox) -> None:
    client = box.running.client
    updates = client.services_live()
    first = next(updates)
    assert [view.id for view in first.changed] == [view.id for view in client.services()]
    assert first.attention == client.status().attention
    # The uptime of its instance grows, which is no change.
    (demo,) = views_of(first, "demo")
    assert demo.instances[0].uptime_seconds is not None
    still = until(updates, lambda update: not update.changed)
    assert still.at > first.at
    assert (still.removed, still.attention) == ((), None)
    close(updates)


def test_tokens_are_seen_while_and_after_they_come(box: DemoBox) -> None:
    client = box.running.client
    updates = client.services_live()
    (before,) = views_of(next(updates), "demo")
    body = {
        "model": box.service.access_name,
        "messages": [{"role": "user", "content": "Tell me a story"}],
        "max_tokens": TOKENS,
        "ignore_eos": True,
        "stream": True,
    }
    headers = {"Authorization": f"Bearer {box.key}"}
    answer = httpx.post(
        f"{box.url}/v1/chat/completions", json=body, headers=headers, trust_env=False, timeout=60
    )
    assert answer.status_code == 200

    def shown(update: ServicesUpdate) -> bool:
        return any(
            view.stats.completion_tokens == before.stats.completion_tokens + TOKENS
            and view.stats.tokens_per_second > 0
            for view in views_of(update, "demo")
        )

    until(updates, shown)
    until(
        updates,
        lambda update: [v.stats.tokens_per_second for v in views_of(update, "demo")][:1] == [0],
    )
    close(updates)


# --- what is told, and to whom -----------------------------------------------------


def test_services_come_change_and_go(watched: LiveBox, client: Client, model: Path) -> None:
    updates = client.services_live()
    assert views_of(next(updates), "tiny") == []
    service = client.deploy(DeployRequest(model=str(model), name="tiny"))
    until(updates, lambda update: [v.ready_instances for v in views_of(update, "tiny")] == [1])
    client.stop("tiny")
    until(updates, lambda update: [v.status for v in views_of(update, "tiny")] == ["STOPPED"])
    client.delete("tiny", confirm="tiny")
    gone = until(updates, lambda update: update.removed)
    assert gone.removed == (service.id,)
    assert views_of(gone, "tiny") == []
    close(updates)


def test_what_needs_attention_is_told_when_it_is_another(
    watched: LiveBox, client: Client, tmp_path: Path
) -> None:
    model = write_tiny_gguf(tmp_path / "broken.gguf")
    behave(model, "--exit-at-once", "3")
    updates = client.services_live()
    assert next(updates).attention == ()
    client.deploy(DeployRequest(model=str(model), name="broken"))
    told = until(updates, lambda update: update.attention)
    assert told.attention is not None
    assert told.attention[0].service_name == "broken"
    client.delete("broken", confirm="broken")
    until(updates, lambda update: update.attention == ())
    close(updates)


def test_what_happens_is_told_at_once(
    watched: LiveBox, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "PERIOD_SECONDS", NEVER_SECONDS)
    updates = client.services_live()
    first = next(updates)
    # One subscription for whoever looks, one that waits for the end of the daemon.
    eventually(lambda: watched.listeners() == 2, what="it listens")
    happen(watched)
    assert next(updates).at > first.at
    close(updates)


def test_all_readers_have_one_look_in_common(own: LiveBox, monkeypatch: pytest.MonkeyPatch) -> None:
    # On the shared box what an earlier test deleted may end now, and each event is another look.
    monkeypatch.setattr(live_module, "PERIOD_SECONDS", NEVER_SECONDS)
    looks, look = [], own.box.services.list

    def counted() -> tuple[ServiceView, ...]:
        looks.append(1)
        return look()

    monkeypatch.setattr(own.box.services, "list", counted)
    with ExitStack() as stack:
        clients = [stack.enter_context(own.client()) for _ in range(4)]
        readers = [client.services_live() for client in clients]
        for reader in readers:
            next(reader)
        # One subscription for whoever looks, and for each reader one that waits for the end.
        eventually(lambda: own.listeners() == 1 + len(readers), what="all listen")
        happen(own)
        for reader in readers:
            assert next(reader).changed == ()
            close(reader)
    assert len(looks) == 2


def test_readers_are_told_when_looking_fails_and_the_next_one_looks_again(
    watched: LiveBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> tuple[ServiceView, ...]:
        raise OSError("no file can be opened")

    with watched.client() as client:
        updates = client.services_live()
        next(updates)
        monkeypatch.setattr(watched.box.services, "list", broken)
        with pytest.raises(HydraError):
            until(updates, lambda _: False)
        monkeypatch.undo()
        again = client.services_live()
        assert next(again).attention == ()
        close(again)


def test_the_form_is_that_of_server_sent_events(watched: LiveBox, admin: httpx.Client) -> None:
    with admin.stream("GET", "/api/v1/services/live") as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        lines = answer.iter_lines()
        data, empty = next(lines), next(lines)
    assert empty == ""
    assert msgspec.json.decode(data.removeprefix("data: "), type=ServicesUpdate).removed == ()


def test_it_ends_in_good_order_when_the_daemon_stops(own: LiveBox) -> None:
    with own.client() as client:
        updates = client.services_live()
        next(updates)
        own.stop()
        # A broken connection would raise.
        for update in updates:
            assert update.removed == ()
    assert own.listeners() == 0


def test_it_takes_an_admin_key(tcp: httpx.Client, inference_key: str) -> None:
    headers = {"Authorization": f"Bearer {inference_key}"}
    assert tcp.get("/api/v1/services/live", headers=headers).status_code == 403
    assert tcp.get("/api/v1/services/live").status_code == 401
