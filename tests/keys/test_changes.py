"""Keys that are edited, disabled, enabled and rotated, and what their streams are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.errors import Conflict, InvalidRequest, NotFound, StateError, Unauthenticated
from hydra_box.keys import KeyRing
from hydra_box.keys.editing import edited_key, told_edit
from hydra_box.messages import (
    CreateKeyRequest,
    CreateUserRequest,
    EditKeyRequest,
    EditUserRequest,
    KeyView,
    RotateKeyRequest,
)
from hydra_box.store import Store
from hydra_box.types import ApiKey, KeyLimits, QuotaPeriod, Scope, TokenQuota, User
from hydra_box.users import Users
from tests.keys.test_ring import Clock, everything_in, load_ring
from tests.told import Told

DAY = 86_400.0


@dataclass
class Keys:
    """A key ring, and all that it tells."""

    store: Store
    users: Users
    ring: KeyRing
    clock: Clock
    told: Told
    shut: list[tuple[str, str]] = field(default_factory=list)

    async def make(self, name: str, owner: User | None = None, **terms: Any) -> str:
        """A new key's secret."""
        request = CreateKeyRequest(name=name, **terms)
        return (await self.ring.create(request, owner or self.users.local)).key

    async def edit(self, name_or_id: str, /, **changes: Any) -> KeyView:
        return await self.ring.edit(name_or_id, EditKeyRequest(**changes))

    async def rotate(self, name: str, grace_seconds: float = 0.0) -> str:
        request = RotateKeyRequest(grace_seconds=grace_seconds)
        return (await self.ring.rotate(name, request)).key

    def opens(self, secret: str) -> ApiKey:
        return self.ring.authenticate(f"Bearer {secret}")

    def refusal(self, secret: str) -> str:
        with pytest.raises(Unauthenticated) as caught:
            self.opens(secret)
        assert caught.value.hint
        return caught.value.message


@pytest_asyncio.fixture
async def keys(tmp_path: Path) -> AsyncIterator[Keys]:
    clock, told = Clock(), Told()
    store = await Store.open(tmp_path / "hydra-box.db")
    users = Users(store, record=told, clock=clock)
    await users.load()
    ring = KeyRing(store, users=users, record=told, clock=clock)
    found = Keys(store=store, users=users, ring=ring, clock=clock, told=told)
    ring.on_shut(lambda key_id, reason: found.shut.append((key_id, reason)))
    yield found
    await store.close()


# --- edit -------------------------------------------------------------------


async def test_an_edit_changes_what_it_gives_and_nothing_else(keys: Keys) -> None:
    limits = KeyLimits(requests_per_minute=60, tokens_per_minute=1000)
    secret = await keys.make("guest", limits=limits, models=("public/*",), expires_at=1500.0)
    before = keys.opens(secret)
    quota = TokenQuota(tokens=500, period=QuotaPeriod.DAY)
    changes: dict[str, Any] = {"denied_models": ("*/x", "*/x"), "quota": quota}
    view = await keys.edit("guest", tokens_per_minute=None, concurrent_requests=3, **changes)
    key = keys.opens(secret)
    assert key == keys.ring.get(before.id)
    assert key == msgspec.structs.replace(
        before,
        denied_models=("*/x",),
        quota=quota,
        limits=KeyLimits(requests_per_minute=60, concurrent_requests=3),
    )
    assert (view.denied_models, view.quota, view.limits) == (("*/x",), quota, key.limits)
    assert keys.told.said[-1].message == "the key 'guest' has other denied models, limits, quota"
    again = await load_ring(keys.store, keys.clock)
    assert again.get(key.id) == msgspec.structs.replace(key, last_used_at=None)


async def test_null_takes_away(keys: Keys) -> None:
    await keys.make(
        "guest",
        expires_at=1500.0,
        limits=KeyLimits(requests_per_minute=1),
        quota=TokenQuota(tokens=1),
    )
    view = await keys.edit("guest", expires_at=None, requests_per_minute=None, quota=None)
    assert (view.expires_at, view.limits, view.quota) == (None, KeyLimits(), None)


async def test_an_expired_key_may_be_edited_and_be_given_another_end(keys: Keys) -> None:
    secret = await keys.make("guest", expires_at=1001.0)
    keys.clock.now = 2000.0
    assert "expired" in keys.refusal(secret)
    await keys.edit("guest", name="visitor")
    with pytest.raises(InvalidRequest, match="already") as caught:
        await keys.edit("visitor", expires_at=1500.0)
    assert caught.value.param == "expires_at"
    await keys.edit("visitor", expires_at=3000.0)
    assert keys.opens(secret).name == "visitor"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "the key name has 0 characters"),
        ({"scopes": ()}, "at least one scope"),
        ({"models": ("",)}, "a glob of models has 0 characters"),
        ({"requests_per_minute": 0}, "requests_per_minute is 0"),
        ({"quota": TokenQuota(tokens=-1)}, "the quota is -1 tokens"),
        ({"expires_at": float("nan")}, "is no date"),
    ],
)
async def test_an_impossible_edit_changes_nothing(
    keys: Keys, changes: dict[str, Any], message: str
) -> None:
    await keys.make("guest")
    before = keys.ring.list()
    with pytest.raises(InvalidRequest, match=message):
        await keys.edit("guest", disabled=True, **changes)
    assert keys.ring.list() == before
    assert keys.told.kinds == ["key.created"]


async def test_a_wrong_limit_is_named_as_in_its_request(keys: Keys) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await keys.make("guest", limits=KeyLimits(tokens_per_minute=0))
    assert caught.value.param == "limits.tokens_per_minute"
    await keys.make("guest")
    with pytest.raises(InvalidRequest) as caught:
        await keys.edit("guest", tokens_per_minute=0)
    assert caught.value.param == "tokens_per_minute"


async def test_a_new_name_must_be_free_and_frees_the_old(keys: Keys) -> None:
    await keys.make("guest")
    await keys.make("laptop")
    with pytest.raises(Conflict, match="'laptop' is taken"):
        await keys.edit("guest", name="laptop")
    await keys.edit("guest", name="visitor")
    with pytest.raises(NotFound):
        await keys.edit("guest", name="guest")
    await keys.make("guest")


async def test_an_edit_of_nothing_is_none(keys: Keys) -> None:
    await keys.make("guest")
    assert (await keys.edit("guest"),) == keys.ring.list()
    assert (await keys.edit("guest", disabled=False, name="guest"),) == keys.ring.list()
    assert keys.told.kinds == ["key.created"]


async def test_a_revoked_key_stays_as_it_is(keys: Keys) -> None:
    await keys.make("guest")
    await keys.ring.revoke("guest")
    with pytest.raises(Conflict, match="is revoked, for good"):
        await keys.edit("guest", disabled=False)
    with pytest.raises(Conflict, match="is revoked, for good"):
        await keys.rotate("guest")


async def test_what_cannot_be_stored_is_not_changed(keys: Keys) -> None:
    secret = await keys.make("guest")
    before = keys.opens(secret)
    await keys.store.close()
    with pytest.raises(StateError):
        await keys.edit("guest", disabled=True, name="other")
    with pytest.raises(StateError):
        await keys.rotate("guest")
    assert keys.opens(secret) == before
    assert (keys.shut, keys.told.kinds) == ([], ["key.created"])


async def test_edits_at_the_same_time_are_all_there(keys: Keys) -> None:
    await keys.make("guest")
    await asyncio.gather(
        keys.edit("guest", models=("a",)),
        keys.edit("guest", quota=TokenQuota(tokens=5)),
        keys.ring.flush(),
        keys.edit("guest", requests_per_minute=7),
    )
    (key,) = await keys.store.keys()
    assert key == keys.ring.get(key.id)
    assert (key.models, key.quota) == (("a",), TokenQuota(tokens=5))
    assert key.limits == KeyLimits(requests_per_minute=7)


@given(
    limit=st.none() | st.integers(1, 5),
    disabled=st.booleans(),
    scopes=st.sets(st.sampled_from(Scope)),
)
def test_the_same_edit_twice_is_the_same_as_once(
    limit: int | None, disabled: bool, scopes: set[Scope]
) -> None:
    key = ApiKey(
        id="key-1",
        name="guest",
        owner_id="u-1",
        sha256="",
        masked="",
        scopes=(Scope.INFERENCE,),
        created_at=0.0,
        disabled_at=5.0,
    )
    request = EditKeyRequest(
        tokens_per_minute=limit, disabled=disabled, scopes=tuple(sorted(scopes))
    )
    once = edited_key(key, request, 10.0)
    assert edited_key(once, request, 20.0) == once
    assert once.disabled_at == (5.0 if disabled else None)
    assert ("is enabled" in told_edit(key, once)) is not disabled


# --- disable ----------------------------------------------------------------


async def test_a_disabled_key_is_refused_until_it_is_enabled(keys: Keys) -> None:
    secret = await keys.make("guest")
    view = await keys.edit("guest", disabled=True)
    assert view.disabled_at == 1000.0
    assert keys.refusal(secret) == "the API key 'guest' is disabled"
    assert keys.shut == [(view.id, "the key 'guest' was disabled")]
    keys.clock.now += 5
    # Again: it is disabled since the first time, and its streams are gone already.
    assert (await keys.edit("guest", disabled=True)).disabled_at == 1000.0
    assert len(keys.shut) == 1
    assert (await keys.edit("guest", disabled=False)).disabled_at is None
    assert keys.opens(secret).id == view.id
    assert [one.message for one in keys.told.said[1:]] == [
        "the key 'guest' is disabled",
        "the key 'guest' is enabled",
    ]


async def test_only_revoking_and_disabling_end_what_is_under_way(keys: Keys) -> None:
    await keys.make("guest", expires_at=1001.0)
    await keys.edit("guest", models=("nothing",), requests_per_minute=1, scopes=(Scope.ADMIN,))
    await keys.rotate("guest")
    keys.clock.now = 5000.0
    assert keys.shut == []
    id = (await keys.ring.revoke("guest")).id
    await keys.ring.revoke("guest")
    assert keys.shut == [(id, "the key 'guest' was revoked")]


async def test_a_disabled_user_shuts_its_keys_and_no_others(keys: Keys) -> None:
    await keys.users.create(CreateUserRequest(name="mary"))
    mary = keys.users.find("mary")
    hers = await keys.make("hers", mary)
    his = await keys.make("his")
    hers_id = keys.opens(hers).id
    await keys.users.edit("mary", EditUserRequest(disabled=True))
    assert keys.shut == [(hers_id, "the user 'mary' was disabled")]
    assert keys.refusal(hers) == "the user 'mary' is disabled, and with it the API key 'hers'"
    assert keys.opens(his).name == "his"
    assert [view.owner_disabled_at for view in keys.ring.list()] == [1000.0, None]
    await keys.users.edit("mary", EditUserRequest(disabled=False))
    assert keys.ring.owner_of(keys.opens(hers)).name == "mary"


async def test_a_deleted_user_takes_its_keys_along(keys: Keys) -> None:
    await keys.users.create(CreateUserRequest(name="mary"))
    hers = await keys.make("hers", keys.users.find("mary"))
    hers_id = keys.opens(hers).id
    await keys.make("his")
    await keys.users.delete("mary")
    assert keys.shut == [(hers_id, "the user 'mary' was deleted")]
    assert keys.refusal(hers) == "the API key is not one of this box"
    assert [view.name for view in keys.ring.list()] == ["his"]
    assert [key.name for key in await keys.store.keys()] == ["his"]
    await keys.ring.flush()


async def test_a_key_is_not_made_for_a_user_who_is_being_deleted(keys: Keys) -> None:
    await keys.users.create(CreateUserRequest(name="mary"))
    mary = keys.users.find("mary")
    await keys.make("first", mary)
    outcomes = await asyncio.gather(
        keys.users.delete("mary"),
        keys.edit("first", disabled=True),
        keys.make("second", mary),
        return_exceptions=True,
    )
    assert [isinstance(one, NotFound) for one in outcomes[1:]] == [True, True]
    assert keys.ring.list() == ()
    assert await keys.store.keys() == []
    assert [view.name for view in keys.users.list()] == ["local"]


# --- rotate -----------------------------------------------------------------


async def test_a_rotation_without_grace_ends_the_old_secret_at_once(keys: Keys) -> None:
    old = await keys.make("laptop")
    new = await keys.rotate("laptop")
    assert keys.opens(new).name == "laptop"
    assert keys.refusal(old) == (
        "the API key 'laptop' was rotated: this secret of it opened until 1970-01-01 00:16 UTC"
    )
    (view,) = keys.ring.list()
    assert (view.masked, view.previous_until) == (f"{new[:4]}...{new[-4:]}", None)


async def test_a_rotation_tells_until_when_the_old_secret_opens(keys: Keys) -> None:
    await keys.make("laptop")
    request = RotateKeyRequest(grace_seconds=60.0)
    rotated = await keys.ring.rotate("laptop", request)
    assert rotated.previous_until == keys.clock.now + 60.0
    assert (await keys.ring.rotate("laptop", RotateKeyRequest())).previous_until is None


async def test_both_secrets_open_during_the_grace_and_then_only_the_new(keys: Keys) -> None:
    old = await keys.make("laptop", models=("public/*",))
    id = keys.opens(old).id
    new = await keys.rotate("laptop", DAY)
    keys.clock.now = 1000.0 + DAY - 0.001
    assert keys.opens(old) == keys.opens(new) == keys.ring.get(id)
    assert keys.opens(old).models == ("public/*",)
    assert keys.ring.show("laptop").previous_until == 1000.0 + DAY
    keys.clock.now = 1000.0 + DAY
    assert "opened until 1970-01-02 00:16 UTC" in keys.refusal(old)
    assert keys.opens(new).id == id
    assert keys.ring.show("laptop").previous_until is None
    again = await load_ring(keys.store, keys.clock)
    with pytest.raises(Unauthenticated, match="was rotated"):
        again.authenticate(f"Bearer {old}")
    assert again.authenticate(f"Bearer {new}").id == id


async def test_the_secret_before_the_old_one_opens_nothing(keys: Keys) -> None:
    first = await keys.make("laptop")
    second = await keys.rotate("laptop", DAY)
    third = await keys.rotate("laptop", DAY)
    assert keys.refusal(first) == "the API key is not one of this box"
    assert keys.opens(second) == keys.opens(third)


async def test_both_secrets_are_of_one_key_that_is_shut_as_one(keys: Keys) -> None:
    old = await keys.make("laptop")
    new = await keys.rotate("laptop", DAY)
    await keys.edit("laptop", disabled=True)
    assert {keys.refusal(old), keys.refusal(new)} == {"the API key 'laptop' is disabled"}
    await keys.ring.revoke("laptop")
    assert {keys.refusal(old), keys.refusal(new)} == {"the API key 'laptop' was revoked"}


@pytest.mark.parametrize("grace", [-1.0, 90 * DAY + 1, float("nan"), float("inf")])
async def test_a_grace_has_an_end(keys: Keys, grace: float) -> None:
    await keys.make("laptop")
    with pytest.raises(InvalidRequest, match="grace_seconds is") as caught:
        await keys.rotate("laptop", grace)
    assert caught.value.param == "grace_seconds"
    assert caught.value.message == f"grace_seconds is {grace:,.0f}"


async def test_neither_secret_is_anywhere(keys: Keys, tmp_path: Path) -> None:
    secrets = [await keys.make("laptop"), await keys.rotate("laptop", DAY)]
    await keys.store.close()
    written = everything_in(tmp_path)
    assert not any(secret.encode() in written for secret in secrets)


# --- quota ------------------------------------------------------------------


async def test_the_use_of_a_quota_is_shown_of_keys_that_have_one(keys: Keys) -> None:
    await keys.make("free")
    await keys.make("guest", quota=TokenQuota(tokens=100))
    id = keys.ring.show("guest").id
    keys.ring.show_quota_use({id: 42}.__getitem__)
    assert [view.quota_used_tokens for view in keys.ring.list()] == [None, 42]
