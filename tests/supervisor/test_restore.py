"""Starts take turns: what the one who lets them sees, learns and tells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hydra_box.catalog import DEMO_MODEL
from hydra_box.events import EventBus
from hydra_box.journal import Journal
from hydra_box.plan import reconcile as plan
from hydra_box.plan.load_time import NO_WEIGHTS
from hydra_box.plan.ways import way_of
from hydra_box.store import Store
from hydra_box.supervisor.load_times import LoadTimes
from hydra_box.supervisor.restore import Restore, load_places
from hydra_box.types import Instance, InstanceState, Service
from tests.samples import a_service, an_instance

S = InstanceState


@dataclass
class Clock:
    """Stands still until the test lets time pass."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Box:
    """Services with an instance each, of which the test says what they do."""

    restore: Restore
    load_times: LoadTimes
    clock: Clock
    services: dict[str, Service] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)

    def add(self, name: str, model: Path, **changes: Any) -> str:
        service = a_service(name, model_path=str(model), **changes)
        self.services[service.id] = service
        instance = an_instance(f"{name}-1", service_id=service.id, way=way_of(service))
        self.instances[instance.id] = instance
        return instance.id

    def put(self, instance_id: str, **changes: Any) -> None:
        self.instances[instance_id] = msgspec.structs.replace(
            self.instances[instance_id], **changes
        )

    async def turn(self, *due: str) -> list[str]:
        """One look; the ids of those of ``due`` that start, which are STARTING then."""
        instances = tuple(self.instances.values())
        await self.restore.look(self.services.values(), instances)
        actions = [plan.StartInstance(instance_id=one) for one in due]
        let = self.restore.let(actions, self.services, instances)
        started = [one.instance_id for one in let if isinstance(one, plan.StartInstance)]
        for instance_id in started:
            self.put(instance_id, state=S.STARTING)
        return started


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    store = await Store.open(tmp_path / "hydra-box.db")
    journal = Journal(store, EventBus())
    load_times = LoadTimes(store, journal)
    clock = Clock()
    restore = Restore(load_times, places=1, clock=clock, monotonic=clock)
    yield Box(restore, load_times, clock)
    await journal.close()
    await store.close()


async def test_one_after_another_each_when_the_one_before_is_ready(box: Box) -> None:
    a = box.add("a", DEMO_MODEL, priority=1)
    b, c = box.add("b", DEMO_MODEL), box.add("c", DEMO_MODEL, priority=2)
    assert await box.turn(a, b, c) == [c]
    assert await box.turn(a, b) == []
    box.put(c, state=S.READY)
    assert await box.turn(a, b) == [a]
    box.put(a, state=S.BACKOFF, retry_at=box.clock.now + 9, runtime_id="r", way=None)
    assert await box.turn(b) == [b]


async def test_how_long_a_start_took_is_known_at_the_next_one(box: Box) -> None:
    a = box.add("a", DEMO_MODEL)
    way = way_of(box.services["svc-a"])
    await box.turn(a)
    box.clock.now += 7.0
    box.put(a, state=S.READY)
    assert await box.turn() == []
    assert box.load_times.seconds(way, NO_WEIGHTS) == pytest.approx(7.0, abs=0.1)
    b = box.add("b", DEMO_MODEL)
    await box.turn(b)
    eta = box.restore.eta("svc-b")
    assert eta is not None
    assert eta.seconds == pytest.approx(7.0, abs=0.1)


async def test_the_eta_is_that_of_the_queue_and_passes_with_time(box: Box) -> None:
    a, b = box.add("a", DEMO_MODEL, priority=1), box.add("b", DEMO_MODEL)
    await box.turn(a, b)
    first, second = box.restore.eta("svc-a"), box.restore.eta("svc-b")
    assert first is not None
    assert second is not None
    assert (first.before, second.before) == (0, 1)
    assert second.seconds == pytest.approx(2 * first.seconds)
    box.clock.now += 1.0
    later = box.restore.eta("svc-b")
    assert later is not None
    assert later.seconds == pytest.approx(second.seconds - 1.0)
    assert box.restore.eta("svc-of-nobody") is None
    assert box.restore.look_again_seconds() is not None


async def test_with_nothing_to_start_there_is_nothing_to_tell(box: Box) -> None:
    a = box.add("a", DEMO_MODEL)
    await box.turn(a)
    box.put(a, state=S.READY)
    assert await box.turn() == []
    assert box.restore.eta("svc-a") is None
    assert box.restore.look_again_seconds() is None


async def test_who_takes_much_too_long_holds_up_nobody(box: Box) -> None:
    a, b = box.add("a", DEMO_MODEL, priority=1), box.add("b", DEMO_MODEL)
    await box.turn(a, b)
    box.clock.now += 9.0
    assert await box.turn(b) == []
    box.clock.now += 2.0
    assert await box.turn(b) == [b]


async def test_a_failed_start_teaches_nothing(box: Box) -> None:
    a = box.add("a", DEMO_MODEL)
    way = way_of(box.services["svc-a"])
    expected = box.load_times.seconds(way, NO_WEIGHTS)
    await box.turn(a)
    box.clock.now += 99.0
    box.put(a, state=S.BACKOFF, retry_at=box.clock.now + 5, runtime_id="r")
    await box.turn()
    assert box.load_times.seconds(way, NO_WEIGHTS) == expected
    eta = box.restore.eta("svc-a")
    assert eta is not None
    assert eta.seconds > 5.0


async def test_one_that_waits_for_room_has_no_eta_and_holds_up_nobody(box: Box) -> None:
    a, b = box.add("a", DEMO_MODEL, priority=1), box.add("b", DEMO_MODEL)
    box.put(a, state=S.BACKOFF, retry_at=box.clock.now + 5, reason="needs 3 GiB")
    assert await box.turn(b) == [b]
    assert box.restore.eta("svc-a") is None


async def test_a_start_of_an_earlier_daemon_has_its_place_and_teaches_nothing(box: Box) -> None:
    a, b = box.add("a", DEMO_MODEL), box.add("b", DEMO_MODEL)
    box.put(a, state=S.STARTING)
    way = way_of(box.services["svc-a"])
    expected = box.load_times.seconds(way, NO_WEIGHTS)
    assert await box.turn(b) == []
    box.clock.now += 1.0
    box.put(a, state=S.READY)
    assert await box.turn(b) == [b]
    assert box.load_times.seconds(way, NO_WEIGHTS) == expected


async def test_one_that_wakes_in_place_takes_no_place(box: Box) -> None:
    a, b = box.add("a", DEMO_MODEL), box.add("b", DEMO_MODEL)
    box.put(a, state=S.ASLEEP)
    await box.turn()
    box.put(a, state=S.STARTING)
    assert await box.turn(b) == [b]
    assert box.restore.eta("svc-a") is None


async def test_a_model_that_is_gone_is_let_to_fail(box: Box, tmp_path: Path) -> None:
    a = box.add("a", tmp_path / "gone.gguf")
    assert await box.turn(a) == [a]


async def test_other_actions_keep_their_order_and_a_service_is_forgotten_last(box: Box) -> None:
    a = box.add("a", DEMO_MODEL)
    start = plan.StartInstance(instance_id=a)
    drain, stop = plan.DrainInstance(instance_id="x"), plan.StopInstance(instance_id="y")
    forget = plan.ForgetService(service_id="z")
    instances = tuple(box.instances.values())
    found = box.restore.let([start, drain, stop, forget], box.services, instances)
    assert found == [drain, stop, start, forget]


async def test_what_was_learned_is_there_for_the_next_daemon(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "hydra-box.db")
    journal = Journal(store, EventBus())
    way = way_of(a_service())
    LoadTimes(store, journal).learn(way, NO_WEIGHTS, 12.5, 0.0)
    await journal.flush()
    next_one = LoadTimes(store, journal)
    await next_one.load()
    assert next_one.seconds(way, NO_WEIGHTS) == 12.5
    await journal.close()
    await store.close()


def test_places_are_as_the_owner_says_else_as_the_machine_has_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for cores, places in ((1, 1), (2, 1), (7, 1), (8, 2), (64, 16)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        assert load_places(0) == places
        assert load_places(3) == 3
