"""The upstreams of a box: set, looked after, edited, taken away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from hydra_box.config import Settings
from hydra_box.errors import Conflict, InvalidRequest, NotFound, StateError
from hydra_box.events import EventBus
from hydra_box.gateway.pool import Pool
from hydra_box.journal import Journal
from hydra_box.messages import EditUpstreamRequest, UpstreamRequest
from hydra_box.plan.upstream_health import HealthState
from hydra_box.store import Store
from hydra_box.types import DesiredState, EngineName, ServiceStatus
from hydra_box.upstreams import UpstreamKeys
from hydra_box.upstreams.registry import Healths, Upstreams
from tests.gateway.fake_upstream import MODEL, FakeUpstream, fake_upstream
from tests.gateway.harness import until
from tests.samples import a_service

SERVICE = a_service("r1", engine=EngineName.UPSTREAM, model_path="", slots=0, desired_instances=0)
KEY = "sk-0123456789"


@dataclass
class Rooms:
    """Upstreams, and what is around them."""

    store: Store
    keys: UpstreamKeys
    pool: Pool
    journal: Journal
    upstreams: Upstreams
    told: list[Healths]
    status: int
    """What the fake answers."""
    fake: FakeUpstream

    def request(self, **changes: object) -> UpstreamRequest:
        values: dict[str, object] = {
            "base_url": self.fake.url,
            "model": MODEL,
            "api_key": KEY,
            "allow_private": True,
        }
        return UpstreamRequest(**values | changes)  # type: ignore[arg-type]

    def state(self) -> HealthState:
        return self.told[-1][0][1].state

    async def events(self) -> list[str]:
        await self.journal.flush()
        return [one.kind for one in await self.store.events()]


@pytest.fixture
async def rooms(home: Path) -> AsyncIterator[Rooms]:
    (home / "upstreams").mkdir(parents=True)
    store = await Store.open(home / "hydra-box.db")
    journal = Journal(store, EventBus())
    pool = Pool(Settings())
    keys = UpstreamKeys(home / "upstreams")
    told: list[Healths] = []

    made: list[Rooms] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        models = [{"id": MODEL, "max_model_len": 4096}]
        return web.json_response({"data": models}, status=made[0].status)

    async with fake_upstream(answer) as fake:
        upstreams = Upstreams(
            store=store,
            keys=keys,
            pool=pool,
            journal=journal,
            tell=lambda _, healths: told.append(healths),
            drain_seconds=5.0,
        )
        made.append(Rooms(store, keys, pool, journal, upstreams, told, 200, fake))
        owner_id = (await store.local_user()).id
        await store.save_service(msgspec.structs.replace(SERVICE, owner_id=owner_id))
        pool.put_service(SERVICE, ServiceStatus.RUNNING, None)
        yield made[0]
        await upstreams.close()
        await journal.close()
        await pool.close()
        await store.close()


async def test_one_that_is_added_is_asked_and_takes_requests(rooms: Rooms) -> None:
    rooms.upstreams.follow(SERVICE)
    view = await rooms.upstreams.add(SERVICE, rooms.request(weight=2.0, most_requests=3))
    assert (view.healthy, view.checked_at, view.has_key) == (False, None, True)
    assert view.context_length is None
    assert (view.weight, view.most_requests, view.allows_private) == (2.0, 3, True)
    endpoint = rooms.pool.find(SERVICE.access_name)
    assert endpoint is not None
    assert endpoint.slots == 0
    await until(lambda: endpoint.slots == 3, "it takes requests")
    assert rooms.fake.paths == ["/v1/models"]
    assert rooms.fake.headers[0]["Authorization"] == f"Bearer {KEY}"
    (view,) = rooms.upstreams.views(SERVICE.id)
    assert view.healthy
    assert view.context_length == 4096
    assert view.checked_at is not None
    assert await rooms.events() == ["upstream.added", "upstream.healthy"]


async def test_its_key_is_in_its_file_alone(rooms: Rooms, home: Path) -> None:
    view = await rooms.upstreams.add(SERVICE, rooms.request())
    assert KEY not in repr(view)
    assert rooms.keys.read(view.id) == KEY
    await rooms.journal.flush()
    assert _files_with(KEY, home) == [f"{view.id}.key"]


def _files_with(text: str, directory: Path) -> list[str]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    return [path.name for path in files if text.encode() in path.read_bytes()]


async def test_one_that_fails_is_told_of_and_comes_back(rooms: Rooms) -> None:
    rooms.upstreams.follow(SERVICE)
    rooms.status = 500
    view = await rooms.upstreams.add(SERVICE, rooms.request())
    await until(lambda: rooms.state() is HealthState.UNHEALTHY, "it is not healthy")
    assert "500" in (rooms.upstreams.views(SERVICE.id)[0].reason or "")
    rooms.status = 200
    await until(lambda: rooms.state() is HealthState.HEALTHY, "it is healthy")
    assert await rooms.events() == ["upstream.added", "upstream.unhealthy", "upstream.healthy"]
    rooms.status = 401
    checked = await rooms.upstreams.check(SERVICE, view.id)
    assert not checked.healthy
    assert (checked.reason or "").startswith("it refuses the key")
    rooms.status = 200
    rooms.upstreams.ask_soon(SERVICE.id)
    await until(lambda: rooms.state() is HealthState.HEALTHY, "it is healthy again")


async def test_an_edit(rooms: Rooms) -> None:
    rooms.upstreams.follow(SERVICE)
    view = await rooms.upstreams.add(SERVICE, rooms.request())
    await until(lambda: rooms.state() is HealthState.HEALTHY, "it is healthy")
    asked = len(rooms.fake.paths)
    edit = EditUpstreamRequest(weight=3.0, most_requests=2)
    changed = await rooms.upstreams.edit(SERVICE, view.id, edit)
    assert (changed.weight, changed.most_requests, changed.healthy) == (3.0, 2, True)
    assert len(rooms.fake.paths) == asked
    endpoint = rooms.pool.find(SERVICE.access_name)
    assert endpoint is not None
    assert endpoint.slots == 2

    edit = EditUpstreamRequest(model="other", api_key="sk-new")
    changed = await rooms.upstreams.edit(SERVICE, view.id, edit)
    assert (changed.model, changed.has_key, changed.context_length) == ("other", True, None)
    assert rooms.keys.read(view.id) == "sk-new"
    await until(lambda: len(rooms.fake.paths) > asked, "it is asked with the new key")
    assert rooms.fake.headers[-1]["Authorization"] == "Bearer sk-new"
    changed = await rooms.upstreams.edit(SERVICE, view.id, EditUpstreamRequest(api_key=None))
    assert not changed.has_key
    assert rooms.keys.read(view.id) is None
    (row,) = await rooms.store.upstreams()
    assert (row.model, row.weight) == ("other", 3.0)
    with pytest.raises(InvalidRequest):
        await rooms.upstreams.edit(SERVICE, view.id, EditUpstreamRequest(weight=0.0))
    assert await rooms.store.upstreams() == [row]


async def test_one_that_is_removed_ends_what_it_has(rooms: Rooms) -> None:
    rooms.upstreams.follow(SERVICE)
    view = await rooms.upstreams.add(SERVICE, rooms.request())
    endpoint = rooms.pool.find(SERVICE.access_name)
    assert endpoint is not None
    await until(lambda: endpoint.slots, "it takes requests")
    lease = await rooms.pool.acquire(endpoint)
    await rooms.upstreams.remove(SERVICE, view.id)
    assert rooms.told[-1] == ()
    assert endpoint.slots == 0
    assert list(endpoint.instances) == [view.id]
    rooms.pool.release(lease)
    await until(lambda: not endpoint.instances, "it is gone")
    assert rooms.keys.read(view.id) is None
    assert await rooms.store.upstreams() == []
    with pytest.raises(NotFound, match="has no upstream"):
        await rooms.upstreams.check(SERVICE, view.id)


async def test_a_stopped_service_has_nobody_asked(rooms: Rooms) -> None:
    stopped = a_service("r1", engine=EngineName.UPSTREAM, desired_state=DesiredState.STOPPED)
    rooms.upstreams.follow(stopped)
    await rooms.upstreams.add(SERVICE, rooms.request())
    await asyncio.sleep(0)
    assert rooms.fake.paths == []
    rooms.upstreams.follow(SERVICE)
    await until(lambda: rooms.state() is HealthState.HEALTHY, "it is healthy")


async def test_what_cannot_be_added_leaves_nothing(rooms: Rooms, home: Path) -> None:
    with pytest.raises(InvalidRequest, match="is a private address"):
        await rooms.upstreams.add(SERVICE, rooms.request(allow_private=False))
    with pytest.raises(InvalidRequest, match="is not public"):
        await rooms.upstreams.add(a_service("r1", public=False), rooms.request())
    await rooms.upstreams.add(SERVICE, rooms.request())
    with pytest.raises(Conflict, match="has that upstream already"):
        await rooms.upstreams.add(SERVICE, rooms.request(api_key="sk-other"))
    assert len(await rooms.store.upstreams()) == 1
    assert len(list((home / "upstreams").iterdir())) == 1
    with pytest.raises(StateError):
        await rooms.upstreams.add(a_service("gone"), rooms.request(model="x"))
    assert rooms.upstreams.views("svc-gone") == ()


async def test_they_are_read_again_and_those_of_the_deleted_go(rooms: Rooms, home: Path) -> None:
    view = await rooms.upstreams.add(SERVICE, rooms.request())
    (home / "upstreams" / "up-000000000000.key").write_text("of a broken write")

    def another() -> Upstreams:
        return Upstreams(
            store=rooms.store,
            keys=rooms.keys,
            pool=rooms.pool,
            journal=rooms.journal,
            tell=lambda _, healths: rooms.told.append(healths),
            drain_seconds=5.0,
        )

    later = another()
    await later.load([SERVICE])
    (read,) = later.views(SERVICE.id)
    assert (read.id, read.has_key) == (view.id, True)
    assert rooms.state() is HealthState.UNCHECKED
    assert [path.stem for path in (home / "upstreams").iterdir()] == [view.id]
    await later.close()
    last = another()
    await last.load([a_service("r1", desired_state=DesiredState.DELETED)])
    assert last.views(SERVICE.id) == ()
    assert list((home / "upstreams").iterdir()) == []
