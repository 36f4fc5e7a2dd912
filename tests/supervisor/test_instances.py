"""The rows of instances: the last change is in the store, and what was between need not be."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from hydra_box.events import EventBus
from hydra_box.journal import Journal
from hydra_box.store import Store
from hydra_box.supervisor.instances import Instances
from hydra_box.types import Instance, InstanceState
from tests.samples import a_service, an_instance

S = InstanceState


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hydra-box.db"


@pytest_asyncio.fixture
async def store(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    monkeypatch.setattr("hydra_box.store.database.BUSY_TIMEOUT_SECONDS", 0.02)
    monkeypatch.setattr("hydra_box.journal.RETRY_SECONDS", 0.01)
    opened = await Store.open(path)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def journal(store: Store) -> AsyncIterator[Journal]:
    made = Journal(store, EventBus())
    yield made
    await made.close()


@pytest_asyncio.fixture
async def new(store: Store) -> Instance:
    """An instance of a service that is in the store."""
    service = a_service(owner_id=(await store.local_user()).id)
    await store.save_service(service)
    return an_instance(service_id=service.id, state=S.PENDING)


async def test_a_burst_of_changes_is_one_write_of_the_last(
    store: Store, journal: Journal, new: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[InstanceState] = []
    really = store.save_instance

    async def save(instance: Instance) -> None:
        written.append(instance.state)
        await really(instance)

    monkeypatch.setattr(store, "save_instance", save)
    instances = Instances(store, journal)
    instances.save(new)
    instances.change(new.id, state=S.STARTING)
    instances.change(new.id, state=S.READY)
    await journal.flush()
    assert written == [S.READY]
    assert [one.state for one in await store.instances()] == [S.READY]
    instances.change(new.id, state=S.DRAINING)
    await journal.flush()
    assert [one.state for one in await store.instances()] == [S.DRAINING]


async def test_those_of_a_service_are_told_oldest_first_as_long_as_they_are_known(
    store: Store, journal: Journal, new: Instance
) -> None:
    instances = Instances(store, journal)
    other = an_instance("other-00000001", service_id="svc-other", state=S.READY)
    older = msgspec.structs.replace(new, id="demo-ffffffff", created_at=new.created_at - 1)
    for one in (new, older, other):
        instances.take_over(one)
    assert instances.of(new.service_id) == [older, new]
    changed = instances.change(new.id, state=S.STARTING)
    assert instances.of(new.service_id) == [older, changed]
    assert instances.of(other.service_id) == [other]
    instances.forget(older.id)
    assert instances.of(new.service_id) == [changed]
    for id in (new.id, other.id):
        instances.forget(id)
    assert instances.of(new.service_id) == []
    assert instances._of == {}, "services come and go"
    await journal.flush()


async def test_one_that_is_gone_before_it_was_written_leaves_no_row(
    store: Store, journal: Journal, new: Instance
) -> None:
    instances = Instances(store, journal)
    instances.save(new)
    instances.forget(new.id)
    await journal.flush()
    assert await store.instances() == []
    instances.save(new)
    await journal.flush()
    assert [one.id for one in await store.instances()] == [new.id]
    instances.drop("qwen2-00000002")
    instances.forget(new.id)
    await journal.flush()
    assert await store.instances() == []


async def test_what_a_locked_store_refused_is_written_as_it_is_by_then(
    path: Path, store: Store, journal: Journal, new: Instance
) -> None:
    instances = Instances(store, journal)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        instances.save(new)
        await journal.flush()
        instances.change(new.id, state=S.STARTING)
        instances.change(new.id, state=S.READY)
        other.execute("ROLLBACK")
    async with asyncio.timeout(30):
        while not await store.instances():  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)
    assert [one.state for one in await store.instances()] == [S.READY]
