"""Users: made, renamed, disabled and deleted by one writer; the box's owner stays."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hydra_box.errors import Conflict, InvalidRequest, NotFound, StateError
from hydra_box.messages import LOCAL_USER_NAME, CreateUserRequest, EditUserRequest, UserView
from hydra_box.store import Store
from hydra_box.users import Users
from tests.told import Told


class Room:
    """Users of a box with so many services, and what they tell."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.told = Told()
        self.services: dict[str, int] = {}
        self.users = Users(
            store,
            record=self.told,
            services_of=lambda user_id: self.services.get(user_id, 0),
            clock=lambda: 1000.0,
        )

    async def make(self, name: str) -> UserView:
        return await self.users.create(CreateUserRequest(name=name))

    async def edit(self, name_or_id: str, /, **changes: Any) -> UserView:
        return await self.users.edit(name_or_id, EditUserRequest(**changes))

    @property
    def names(self) -> list[str]:
        return [view.name for view in self.users.list()]


@pytest_asyncio.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    store = await Store.open(tmp_path / "hydra-box.db", clock=lambda: 500.0)
    found = Room(store)
    await found.users.load()
    yield found
    await store.close()


async def test_the_boxs_owner_is_there_and_stays(room: Room) -> None:
    local = room.users.local
    assert local == await room.store.local_user()
    assert (local.name, room.names) == (LOCAL_USER_NAME, [LOCAL_USER_NAME])
    for changes in ({"name": "other"}, {"disabled": True}):
        with pytest.raises(Conflict, match="is this box's owner, and cannot be") as caught:
            await room.edit("local", **changes)
        assert caught.value.hint
    with pytest.raises(Conflict, match="cannot be deleted"):
        await room.users.delete(local.id)
    # What changes nothing is no change.
    assert (await room.edit("local", name="local", disabled=False)).id == local.id
    assert (await room.store.users(), room.told.said) == ([local], [])


async def test_the_life_of_a_user(room: Room) -> None:
    made = await room.make("mary")
    assert re.fullmatch(r"u-[0-9a-f]{12}", made.id)
    assert (made.created_at, made.disabled_at, made.keys, made.services) == (1000.0, None, 0, 0)
    assert (await room.edit("mary", name="mary smith")).id == made.id
    assert (await room.edit(made.id, disabled=True)).disabled_at == 1000.0
    again = Room(room.store)
    await again.users.load()
    assert again.users.list() == room.users.list()
    assert (await room.edit("mary smith", disabled=False)).disabled_at is None
    assert (await room.users.delete("mary smith")).id == made.id
    assert room.names == ["local"]
    assert [user.name for user in await room.store.users()] == ["local"]
    assert room.told.kinds == ["user.created", *["user.changed"] * 3, "user.deleted"]
    assert [one.message for one in room.told.said][1:4] == [
        "the user 'mary' is called 'mary smith'",
        "the user 'mary smith' is disabled",
        "the user 'mary smith' is enabled",
    ]


@pytest.mark.parametrize("name", ["", "x" * 65, " mary", "a\nb", "\x1b[31m"])
async def test_a_bad_name_is_refused(room: Room, name: str) -> None:
    await room.make("mary")
    for work in (room.make(name), room.edit("mary", name=name)):
        with pytest.raises(InvalidRequest, match="the user name") as caught:
            await work
        assert caught.value.param == "name"
    assert room.names == ["local", "mary"]


async def test_a_name_is_of_one_user(room: Room) -> None:
    outcomes = await asyncio.gather(*map(room.make, ["mary"] * 5), return_exceptions=True)
    assert [type(one) for one in outcomes] == [UserView] + [Conflict] * 4
    await room.make("john")
    with pytest.raises(Conflict, match="the user name 'mary' is taken"):
        await room.edit("john", name="mary")
    with pytest.raises(Conflict, match="'local' is taken"):
        await room.make("local")
    assert (await room.edit("john", name="john")).name == "john"


async def test_a_user_who_owns_a_service_cannot_be_deleted(room: Room) -> None:
    made = await room.make("mary")
    room.services[made.id] = 2
    assert room.users.list()[1].services == 2
    with pytest.raises(Conflict, match="the user 'mary' owns 2 services") as caught:
        await room.users.delete("mary")
    assert caught.value.hint
    del room.services[made.id]
    await room.users.delete("mary")


async def test_an_unknown_user_has_the_nearest_in_its_hint(room: Room) -> None:
    await room.make("mary")
    with pytest.raises(NotFound, match="there is no user 'marry'") as caught:
        room.users.find("marry")
    assert (caught.value.hint or "").startswith("the nearest: mary")
    with pytest.raises(NotFound) as caught:
        await room.users.delete("m" * 1_000_000)
    assert len(caught.value.message) < 100
    with pytest.raises(NotFound, match="u-000000000000"):
        room.users.get("u-000000000000")


async def test_what_cannot_be_stored_is_not_changed(room: Room) -> None:
    await room.make("mary")
    before = room.users.list()
    await room.store.close()
    for work in (
        room.make("john"),
        room.edit("mary", name="other", disabled=True),
        room.users.delete("mary"),
    ):
        with pytest.raises(StateError):
            await work
    assert room.users.list() == before
    assert room.told.kinds == ["user.created"]
