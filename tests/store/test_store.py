"""The store: what is written is there, also for the next daemon, and nothing clashes silently."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from hydra_box.errors import Conflict, InvalidRequest, NotFound, StateError
from hydra_box.store import Store
from hydra_box.store import events as events_module
from hydra_box.types import ApiKey, InstanceState, Scope, Service, Severity
from tests.samples import a_key, a_runtime, a_service, an_event, an_instance
from tests.waiting import PATIENCE_SECONDS


@pytest_asyncio.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(path)
    yield opened
    await opened.close()


async def _service(store: Store, name: str = "qwen2", **changes: Any) -> Service:
    owner = await store.local_user()
    return a_service(name, owner_id=owner.id, **changes)


async def _key(store: Store, name: str = "laptop", **changes: Any) -> ApiKey:
    owner = await store.local_user()
    return a_key(name, owner_id=owner.id, **changes)


async def test_everything_is_there_after_reopening(path: Path) -> None:
    first = await Store.open(path)
    user = await first.local_user()
    service, key = await _service(first), await _key(first, scopes=(Scope.INFERENCE, Scope.ADMIN))
    instance = an_instance(state=InstanceState.READY, pid=77, ready_at=25.5, restarts=2)
    runtime = a_runtime(verified_at=3.0)
    await first.save_service(service)
    await first.save_instance(instance)
    await first.save_key(key)
    await first.save_runtime(runtime)
    event = await first.add_event(an_event(severity=Severity.ERROR))
    await first.close()

    second = await Store.open(path)
    try:
        assert await second.local_user() == user
        assert await second.services() == [service]
        assert await second.instances() == [instance]
        assert await second.keys() == [key]
        assert await second.runtimes() == [runtime]
        assert await second.events() == [event]
    finally:
        await second.close()


async def test_a_new_file_is_private_and_empty(store: Store, path: Path) -> None:
    modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.glob("hydra-box.db*")}
    assert modes == {0o600}
    assert await store.services() == []
    assert await store.instances() == []
    assert await store.keys() == []
    assert await store.runtimes() == []
    assert await store.events() == []


async def test_the_local_user_is_made_once(store: Store) -> None:
    users = await asyncio.gather(*(store.local_user() for _ in range(20)))
    assert len(set(users)) == 1
    prefix, _, digits = users[0].id.partition("-")
    assert prefix == "u"
    assert len(digits) == 12
    assert int(digits, 16) >= 0


async def test_saving_a_service_again_keeps_its_instances(store: Store) -> None:
    service = await _service(store)
    await store.save_service(service)
    await store.save_instance(an_instance())
    changed = msgspec.structs.replace(service, desired_instances=3)
    await store.save_service(changed)
    assert await store.services() == [changed]
    assert await store.instances() == [an_instance()]


async def test_a_service_takes_its_instances_with_it(store: Store) -> None:
    await store.save_service(await _service(store))
    await store.save_service(other := await _service(store, "other"))
    await store.save_instance(an_instance())
    await store.save_instance(stays := an_instance("other-1", service_id=other.id))
    await store.delete_service("svc-qwen2")
    assert await store.services() == [other]
    assert await store.instances() == [stays]
    await store.delete_service("svc-qwen2")


async def test_a_service_name_is_taken_once(store: Store) -> None:
    await store.save_service(first := await _service(store))
    with pytest.raises(Conflict, match="the service name 'qwen2' is taken") as caught:
        await store.save_service(await _service(store, id="svc-other"))
    assert caught.value.hint
    assert caught.value.param == "name"
    assert await store.services() == [first]


async def test_of_two_services_at_once_with_one_name_one_wins(store: Store) -> None:
    both = [await _service(store, id=f"svc-{number}") for number in range(2)]
    outcomes = await asyncio.gather(*map(store.save_service, both), return_exceptions=True)
    assert [type(one) for one in outcomes] == [type(None), Conflict]
    assert await store.services() == [both[0]]


async def test_a_service_needs_its_owner_and_an_instance_its_service(store: Store) -> None:
    with pytest.raises(NotFound, match="the user u-1100a15812cc does not exist"):
        await store.save_service(a_service())
    with pytest.raises(NotFound, match="the user u-1100a15812cc does not exist"):
        await store.save_key(a_key())
    with pytest.raises(NotFound, match="instance qwen2-00000001 belongs to the service svc-qwen2"):
        await store.save_instance(an_instance())


async def test_an_instance_is_removed(store: Store) -> None:
    await store.save_service(await _service(store))
    await store.save_instance(an_instance())
    await store.delete_instance("qwen2-00000001")
    await store.delete_instance("qwen2-00000001")
    assert await store.instances() == []


async def test_a_key_name_is_free_again_once_revoked(store: Store) -> None:
    first = await _key(store)
    second = msgspec.structs.replace(first, id="key-2", sha256="2", created_at=31.0)
    await store.save_key(first)
    with pytest.raises(Conflict, match="the key name 'laptop' is taken"):
        await store.save_key(second)
    revoked = msgspec.structs.replace(first, revoked_at=50.0)
    await store.save_key(revoked)
    await store.save_key(second)
    await store.save_key(revoked)
    assert await store.keys() == [revoked, second]


async def test_last_use_never_moves_backwards(store: Store) -> None:
    await store.save_key(await _key(store))
    for at, expected in [(5.0, 5.0), (9.0, 9.0), (7.0, 9.0)]:
        await store.touch_keys({"key-laptop": at, "key-unknown": at})
        assert [key.last_used_at for key in await store.keys()] == [expected]
    await store.touch_keys({})


async def test_events_are_numbered_and_paged(store: Store) -> None:
    stored = [await store.add_event(an_event(f"number {n}")) for n in range(1, 6)]
    assert [event.id for event in stored] == [1, 2, 3, 4, 5]
    assert await store.events() == stored
    assert await store.events(after=2) == stored[2:]
    assert await store.events(after=1, limit=2) == stored[1:3]
    assert await store.events(after=5) == []


async def test_the_last_events_of_one_service_or_of_all(store: Store) -> None:
    ids = ("svc-a", "svc-b", None, "svc-a")
    stored = [await store.add_event(an_event(str(id), service_id=id)) for id in ids]
    assert await store.recent_events() == stored
    assert await store.recent_events(limit=2) == stored[2:]
    assert await store.recent_events(service_id="svc-a") == [stored[0], stored[3]]
    assert await store.recent_events(service_id="svc-a", limit=1) == [stored[3]]
    assert await store.recent_events(service_id="svc-c") == []


async def test_old_events_are_pruned_and_numbers_go_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "KEPT_EVENTS", 3)
    for _ in range(10):
        await store.add_event(an_event())
    assert [event.id for event in await store.events()] == [8, 9, 10]


async def test_runtimes_are_replaced_and_removed(store: Store) -> None:
    await store.save_runtime(a_runtime())
    await store.save_runtime(verified := a_runtime(verified_at=3.0, argv=()))
    assert await store.runtimes() == [verified]
    await store.delete_runtime(verified.id)
    assert await store.runtimes() == []


async def test_many_tasks_at_once_lose_nothing(store: Store) -> None:
    await store.save_service(await _service(store))

    async def write(number: int) -> None:
        await store.save_instance(an_instance(f"qwen2-{number:08x}"))
        await store.add_event(an_event(f"number {number}"))
        assert any(one.id == f"qwen2-{number:08x}" for one in await store.instances())

    await asyncio.gather(*(write(number) for number in range(50)))
    assert len(await store.instances()) == 50
    assert {event.id for event in await store.events()} == set(range(1, 51))


async def test_two_loops_in_two_threads_share_one_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each waits for the disk of the other, however slow that is.
    monkeypatch.setattr("hydra_box.store.database.BUSY_TIMEOUT_SECONDS", PATIENCE_SECONDS)

    async def write(name: str) -> None:
        store = await Store.open(path)
        try:
            for number in range(20):
                await store.add_event(an_event(f"{name} {number}"))
        finally:
            await store.close()

    await write("first")
    await asyncio.gather(*(asyncio.to_thread(asyncio.run, write(name)) for name in "ab"))
    store = await Store.open(path)
    try:
        messages = [event.message for event in await store.events()]
    finally:
        await store.close()
    for name in "ab":
        assert [one for one in messages if one[0] == name] == [f"{name} {n}" for n in range(20)]


@pytest.mark.parametrize(
    "change", [{"base_model": "\ud800"}, {"context_length": 2**63}], ids=["surrogate", "integer"]
)
async def test_a_value_that_sqlite_cannot_hold(store: Store, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="a value cannot be stored"):
        await store.save_service(await _service(store, **change))
    assert await store.services() == []


async def test_a_closed_store_says_so(store: Store, path: Path) -> None:
    await store.close()
    await store.close()
    with pytest.raises(StateError, match=r"hydra-box\.db is closed"):
        await store.services()
    assert [file.name for file in path.parent.iterdir()] == ["hydra-box.db"]
