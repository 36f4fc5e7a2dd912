"""Keys: shown once, known by their hash, checked in memory, revoked at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import example, given
from hypothesis import strategies as st

from hydra_box.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    StateError,
    Unauthenticated,
)
from hydra_box.keys import KeyRing
from hydra_box.keys.secrets import (
    LONGEST_CREDENTIAL,
    hash_secret,
    make_secret,
    mask_secret,
    read_bearer,
)
from hydra_box.messages import CreatedKey, CreateKeyRequest
from hydra_box.store import Store
from hydra_box.types import KeyLimits, QuotaPeriod, Scope, TokenQuota, User
from hydra_box.users import Users
from tests.told import Told

INFERENCE = (Scope.INFERENCE,)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def load_ring(store: Store, clock: Clock) -> KeyRing:
    """The keys of that store, as a daemon that starts reads them."""
    users = Users(store, record=Told(), clock=clock)
    await users.load()
    ring = KeyRing(store, users=users, record=Told(), clock=clock)
    await ring.load()
    return ring


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path / "hydra-box.db")
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def owner(store: Store) -> User:
    return await store.local_user()


@pytest_asyncio.fixture
async def ring(store: Store, clock: Clock) -> KeyRing:
    return await load_ring(store, clock)


async def make(
    ring: KeyRing, name: str, scopes: tuple[Scope, ...], owner: User, **more: Any
) -> CreatedKey:
    return await ring.create(CreateKeyRequest(name=name, scopes=scopes, **more), owner)


# --- helpers ----------------------------------------------------------------


def test_secrets_look_as_documented_and_differ() -> None:
    secrets = {make_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(re.fullmatch(r"hb-[A-Za-z0-9_-]{43}", one) for one in secrets)


def test_a_mask_shows_four_characters_at_each_end() -> None:
    assert mask_secret("hb-0123456789abcdef") == "hb-0...cdef"


@given(text=st.text(alphabet=st.characters()))
def test_any_text_has_a_hash(text: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", hash_secret(text))


@given(text=st.none() | st.text(alphabet=st.characters()))
@example("Bearer")
@example("Bearer \0")
@example("Bearer a b")
@example("Bearer " + "x" * 10_000_000)
@example(" " * 10_000_000)
def test_any_header_is_read_or_refused_shortly(text: str | None) -> None:
    refusal = ""
    try:
        secret = read_bearer(text)
    except Unauthenticated as error:
        secret, refusal = "", str(error)
    assert bool(secret) != bool(refusal)
    assert len(secret) < LONGEST_CREDENTIAL
    assert len(refusal) < 200


# --- authenticate -----------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    ["Bearer {}", "bearer {}", "BEARER {}", "Bearer    {}", "  Bearer {}  ", "Bearer\t{}"],
)
async def test_a_key_is_known_however_it_is_sent(ring: KeyRing, owner: User, header: str) -> None:
    created = await make(ring, "laptop", INFERENCE, owner)
    key = ring.authenticate(header.format(created.key))
    assert (key.id, key.scopes) == (created.id, INFERENCE)


MISSING = "no API key: the Authorization header is missing"
EMPTY = "no API key: the Authorization header is empty"
MALFORMED = "the Authorization header is not 'Bearer' and a key"
UNKNOWN = "the API key is not one of this box"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, MISSING),
        ("", MISSING),
        ("   ", EMPTY),
        ("Bearer", MALFORMED),
        ("Bearer ", MALFORMED),
        ("Basic {}", MALFORMED),
        ("{}", MALFORMED),
        ("Bearer{}", MALFORMED),
        ("Bearer {} {}", MALFORMED),
        ("Bearer {}x", UNKNOWN),
        ("Bearer hb-", UNKNOWN),
        ("Bearer sk-something-else", UNKNOWN),
        ("Bearer {}\0", UNKNOWN),
        ("Bearer \0", UNKNOWN),
        ("Bearer ключ", UNKNOWN),
        ("Bearer \udcff\ud800", UNKNOWN),
        ("Bearer '--", UNKNOWN),
        ("Bearer '/**/OR/**/1=1;--", UNKNOWN),
        ("Bearer " + "x" * 1018, "the Authorization header has 1,025 characters, more than 1,024"),
        ("Bearer " + " " * 5000 + "{}", "more than 1,024"),
    ],
)
async def test_a_bad_header_has_its_own_text(
    ring: KeyRing, owner: User, header: str | None, message: str
) -> None:
    created = await make(ring, "laptop", INFERENCE, owner)
    text = header and header.replace("{}", created.key)
    with pytest.raises(Unauthenticated) as caught:
        ring.authenticate(text)
    assert message in caught.value.message
    assert caught.value.hint
    assert created.key not in str(caught.value)


async def test_hash_and_mask_do_not_authenticate(ring: KeyRing, owner: User) -> None:
    created = await make(ring, "laptop", INFERENCE, owner)
    for wrong in (hash_secret(created.key), created.masked, created.id, created.name):
        with pytest.raises(Unauthenticated, match=UNKNOWN):
            ring.authenticate(f"Bearer {wrong}")


def everything_in(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.iterdir())


# --- create -----------------------------------------------------------------


async def test_a_new_key_works_and_its_secret_is_nowhere(
    ring: KeyRing, store: Store, owner: User, tmp_path: Path
) -> None:
    created = await make(ring, "laptop", (Scope.ADMIN, Scope.INFERENCE, Scope.ADMIN), owner)
    assert created.scopes == (Scope.ADMIN, Scope.INFERENCE)
    assert created.owner_id == owner.id
    assert created.created_at == 1000.0
    (stored,) = await store.keys()
    assert stored.sha256 == hash_secret(created.key)
    assert stored.masked == f"{created.key[:4]}...{created.key[-4:]}"
    await store.close()
    assert created.key.encode() not in everything_in(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "the key name has 0 characters"),
        ("x" * 65, "the key name has 65 characters"),
        ("x" * 1_000_000, "the key name has 1000000 characters"),
        (" laptop", "is not valid"),
        ("  ", "is not valid"),
        ("lap\ntop", "is not valid"),
        ("lap\0top", "is not valid"),
        ("\x1b[31mred", "is not valid"),
        ("\ud800", "is not valid"),
    ],
)
async def test_a_bad_name_is_refused(ring: KeyRing, owner: User, name: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        await make(ring, name, INFERENCE, owner)
    assert caught.value.param == "name"
    assert "1 to 64 printable characters" in (caught.value.hint or "")
    assert ring.list() == ()


@pytest.mark.parametrize("name", ["u-0123456789ab", "key-0123456789ab"])
async def test_a_name_is_no_id(ring: KeyRing, owner: User, name: str) -> None:
    with pytest.raises(InvalidRequest, match="looks like an id") as caught:
        await make(ring, name, INFERENCE, owner)
    assert caught.value.param == "name"
    await make(ring, f"{name}c", INFERENCE, owner)


async def test_a_key_needs_a_scope(ring: KeyRing, owner: User) -> None:
    with pytest.raises(InvalidRequest, match="at least one scope") as caught:
        await make(ring, "laptop", (), owner)
    assert caught.value.param == "scopes"
    assert caught.value.hint == "scopes: inference, admin"


async def test_names_of_live_keys_are_taken_once(ring: KeyRing, owner: User) -> None:
    outcomes = await asyncio.gather(
        *(make(ring, "laptop", INFERENCE, owner) for _ in range(5)), return_exceptions=True
    )
    assert [type(one) for one in outcomes] == [CreatedKey] + [Conflict] * 4
    await ring.revoke("laptop")
    await make(ring, "laptop", INFERENCE, owner)
    assert [view.revoked_at is None for view in ring.list()] == [False, True]


async def test_a_key_that_could_not_be_stored_is_not_kept(
    ring: KeyRing, store: Store, owner: User
) -> None:
    await store.close()
    with pytest.raises(StateError, match="is closed"):
        await make(ring, "laptop", INFERENCE, owner)
    assert ring.list() == ()


@pytest.mark.parametrize(
    ("values", "message", "param"),
    [
        ({"expires_at": 1000.0}, "expires_at is 1970-01-01 00:16 UTC, and it is", "expires_at"),
        ({"expires_at": 999.0}, "already", "expires_at"),
        ({"expires_at": -1.0}, "already", "expires_at"),
        ({"expires_at": -1e300}, "already", "expires_at"),
        ({"expires_at": 1e12}, "expires_at is no date", "expires_at"),
        ({"expires_at": float("inf")}, "expires_at is no date", "expires_at"),
        ({"expires_at": float("nan")}, "expires_at is no date", "expires_at"),
        ({"models": ("public/*", "")}, "a glob of models has 0 characters", "models"),
        ({"models": ("x" * 129,)}, "a glob of models has 129 characters", "models"),
        ({"models": ("a\nb",)}, "is not valid", "models"),
        ({"models": ("\x1b[31m",)}, "is not valid", "models"),
        ({"models": ("a",) * 2 + tuple(map(str, range(100)))}, "has 101 globs", "models"),
        ({"denied_models": ("",)}, "a glob of models has 0 characters", "denied_models"),
        ({"quota": TokenQuota(tokens=0)}, "the quota is 0 tokens", "quota.tokens"),
        ({"quota": TokenQuota(tokens=10**13)}, "10,000,000,000,000 tokens", "quota.tokens"),
        (
            {"limits": KeyLimits(requests_per_minute=0)},
            "requests_per_minute is 0",
            "limits.requests_per_minute",
        ),
        (
            {"limits": KeyLimits(tokens_per_minute=-5)},
            "tokens_per_minute is -5",
            "limits.tokens_per_minute",
        ),
        (
            {"limits": KeyLimits(concurrent_requests=10**5000)},
            "concurrent_requests is a number of more than 64 bits",
            "limits.concurrent_requests",
        ),
    ],
)
async def test_a_key_with_impossible_terms_is_refused(
    ring: KeyRing, owner: User, values: dict[str, Any], message: str, param: str
) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        await make(ring, "laptop", INFERENCE, owner, **values)
    assert (caught.value.param, bool(caught.value.hint)) == (param, True)
    assert ring.list() == ()


async def test_terms_are_kept_and_shown(
    ring: KeyRing, store: Store, owner: User, clock: Clock
) -> None:
    terms = {
        "expires_at": 1000.5,
        "models": ("public/*", "u-1/x"),
        "denied_models": ("*/big",),
        "limits": KeyLimits(requests_per_minute=60, tokens_per_minute=10**6, concurrent_requests=1),
        "quota": TokenQuota(tokens=10**6, period=QuotaPeriod.WEEK),
    }
    twice = {"models": ("public/*", "u-1/x", "public/*"), "denied_models": ("*/big", "*/big")}
    created = await make(ring, "guest", INFERENCE, owner, **terms | twice)
    again = await load_ring(store, clock)
    (view,) = again.list()
    assert (view,) == ring.list()
    key = again.authenticate(f"Bearer {created.key}")
    for name, value in terms.items():
        assert getattr(view, name) == getattr(key, name) == value
    assert (view.owner_name, view.created_by) == ("local", "")


async def test_an_expired_key_is_told_when_it_ended(
    ring: KeyRing, owner: User, clock: Clock
) -> None:
    at = 1_801_396_800.0
    created = await make(ring, "guest", INFERENCE, owner, expires_at=at)
    clock.now = at - 0.001
    assert ring.authenticate(f"Bearer {created.key}").id == created.id
    clock.now = at
    with pytest.raises(Unauthenticated) as caught:
        ring.authenticate(f"Bearer {created.key}")
    assert caught.value.message == "the API key 'guest' expired on 2027-01-31 12:00 UTC"
    assert caught.value.hint
    assert ring.list()[0].last_used_at == at - 0.001
    # Its name is its own until it is revoked, and then that is what is told.
    with pytest.raises(Conflict):
        await make(ring, "guest", INFERENCE, owner)
    await ring.revoke("guest")
    with pytest.raises(Unauthenticated, match="was revoked"):
        ring.authenticate(f"Bearer {created.key}")


# --- revoke -----------------------------------------------------------------


async def test_a_revoked_key_is_refused_at_once_and_for_good(
    ring: KeyRing, store: Store, owner: User, clock: Clock
) -> None:
    created = await make(ring, "laptop", INFERENCE, owner)
    clock.now = 2000.0
    revoking = asyncio.create_task(ring.revoke("laptop"))
    # One step of the loop starts the task; its write cannot have been answered yet.
    await asyncio.sleep(0)
    with pytest.raises(Unauthenticated, match="the API key 'laptop' was revoked") as caught:
        ring.authenticate(f"Bearer {created.key}")
    assert caught.value.hint
    view = await revoking
    assert view.revoked_at == 2000.0
    again = await load_ring(store, clock)
    with pytest.raises(Unauthenticated, match="was revoked"):
        again.authenticate(f"Bearer {created.key}")


async def test_revoking_twice_changes_nothing(ring: KeyRing, owner: User, clock: Clock) -> None:
    await make(ring, "laptop", INFERENCE, owner)
    first = await ring.revoke("laptop")
    clock.now += 5
    assert await ring.revoke("laptop") == first


async def test_a_key_is_found_by_id_and_the_live_one_by_name(
    ring: KeyRing, owner: User, clock: Clock
) -> None:
    old = await make(ring, "laptop", INFERENCE, owner)
    await ring.revoke(old.id)
    clock.now += 1
    new = await make(ring, "laptop", INFERENCE, owner)
    assert (await ring.revoke("laptop")).id == new.id
    assert (await ring.revoke(old.id)).id == old.id


async def test_an_unknown_name_has_the_nearest_in_its_hint(ring: KeyRing, owner: User) -> None:
    with pytest.raises(NotFound, match="there is no key 'lapdog'") as caught:
        await ring.revoke("lapdog")
    assert "hydra-box keys create" in (caught.value.hint or "")
    for name in ("laptop", "desktop", "phone", "old"):
        await make(ring, name, INFERENCE, owner)
    await ring.revoke("old")
    with pytest.raises(NotFound) as caught:
        await ring.revoke("lapdog" + "g" * 1_000_000)
    assert caught.value.message.startswith("there is no key 'lapdogggg")
    assert len(caught.value.message) < 100
    with pytest.raises(NotFound) as caught:
        await ring.revoke("lapdog")
    assert caught.value.hint == "the nearest: laptop, phone, desktop"


async def test_a_revocation_holds_and_can_be_repeated_when_the_store_fails(
    ring: KeyRing, store: Store, owner: User, tmp_path: Path
) -> None:
    created = await make(ring, "laptop", INFERENCE, owner)
    await store.close()
    with pytest.raises(StateError):
        await ring.revoke("laptop")
    with pytest.raises(Unauthenticated, match="was revoked"):
        ring.authenticate(f"Bearer {created.key}")
    reopened = await Store.open(tmp_path / "hydra-box.db")
    ring._store = reopened
    await ring.revoke("laptop")
    assert [key.revoked_at for key in await reopened.keys()] == [1000.0]
    await reopened.close()


# --- last use ---------------------------------------------------------------


async def test_last_use_is_shown_at_once_and_stored_by_flush(
    ring: KeyRing, store: Store, owner: User, clock: Clock
) -> None:
    created = await make(ring, "laptop", INFERENCE, owner)
    await make(ring, "unused", INFERENCE, owner)
    clock.now = 1500.0
    ring.authenticate(f"Bearer {created.key}")
    assert [view.last_used_at for view in ring.list()] == [1500.0, None]
    assert [key.last_used_at for key in await store.keys()] == [None, None]
    await ring.flush()
    assert [view.last_used_at for view in ring.list()] == [1500.0, None]
    assert [key.last_used_at for key in await store.keys()] == [1500.0, None]
    await ring.flush()


@pytest.mark.parametrize("flushed_before", [False, True])
async def test_a_revocation_keeps_the_last_use(
    ring: KeyRing, store: Store, owner: User, flushed_before: bool
) -> None:
    created = await make(ring, "laptop", INFERENCE, owner)
    ring.authenticate(f"Bearer {created.key}")
    if flushed_before:
        await ring.flush()
    view = await ring.revoke("laptop")
    assert view.last_used_at == 1000.0
    await ring.flush()
    assert [key.last_used_at for key in await store.keys()] == [1000.0]


async def test_a_flush_that_fails_is_tried_again(
    ring: KeyRing, owner: User, tmp_path: Path, store: Store
) -> None:
    created = await make(ring, "laptop", INFERENCE, owner)
    ring.authenticate(f"Bearer {created.key}")
    await store.close()
    with pytest.raises(StateError):
        await ring.flush()
    reopened = await Store.open(tmp_path / "hydra-box.db")
    ring._store = reopened
    await ring.flush()
    assert [key.last_used_at for key in await reopened.keys()] == [1000.0]
    await reopened.close()


async def test_a_key_is_the_same_after_a_restart(
    ring: KeyRing, store: Store, owner: User, clock: Clock
) -> None:
    created = await make(ring, "laptop", (Scope.ADMIN,), owner)
    again = await load_ring(store, clock)
    assert again.list() == ring.list()
    key = again.authenticate(f"Bearer {created.key}")
    assert key == msgspec.structs.replace(key, id=created.id, scopes=(Scope.ADMIN,))
