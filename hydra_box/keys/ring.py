"""API keys: made once, shown once, and known by their SHA-256 only.

When what becomes of a key ends the requests that it has under way:

- It is revoked or disabled, or its user is disabled or deleted: they end at once.
- Whatever else changes (its terms, its end, its secret): that counts from the next request on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec

from hydra_box.errors import Unauthenticated
from hydra_box.journal import Record
from hydra_box.keys.door import check_open
from hydra_box.keys.editing import (
    edited_key,
    new_key,
    rotated_key,
    told_edit,
    with_secret,
)
from hydra_box.keys.memory import MAKE_ONE, HeldKeys
from hydra_box.keys.rules import check_expiry, check_grace, check_key, date
from hydra_box.keys.secrets import hash_secret, make_secret, read_bearer
from hydra_box.keys.views import key_view
from hydra_box.messages import (
    CreatedKey,
    CreateKeyRequest,
    EditKeyRequest,
    KeyView,
    RotateKeyRequest,
)
from hydra_box.store import Store
from hydra_box.types import ApiKey, User
from hydra_box.users import Users

OnShut = Callable[[str, str], None]
"""Told of a key's id, and in words why it opens nothing any more."""


def _not_counted(key_id: str) -> None:  # noqa: ARG001 - of no key
    return None


class KeyRing:
    """Every key in memory, with the store behind; the only writer of keys.

    Args:
        store: where they are kept.
        users: whose they are; it is told that these are their keys.
        record: notes what happened.
        clock: seconds since the epoch.

    """

    def __init__(
        self,
        store: Store,
        *,
        users: Users,
        record: Record,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._users = users
        self._record = record
        self._clock = clock
        self._keys = HeldKeys()
        self._used: dict[str, float] = {}
        """Key id to its last use, of those not yet in the store."""
        self._when_shut: list[OnShut] = []
        self._quota_used: Callable[[str], int | None] = _not_counted
        self._writing = asyncio.Lock()
        users.attend(self)

    async def load(self) -> None:
        """Read the keys from the store; the users are loaded."""
        for key in await self._store.keys():
            self._keys.put(key)

    def on_shut(self, callback: OnShut) -> None:
        """Have that called whenever a key is revoked or disabled, or its user is."""
        self._when_shut.append(callback)

    def show_quota_use(self, quota_used: Callable[[str], int | None]) -> None:
        """Have that asked, by a key's id, how many tokens of its quota are used."""
        self._quota_used = quota_used

    # --- looking ------------------------------------------------------------

    def list(self) -> tuple[KeyView, ...]:
        """Every key, revoked ones too, oldest first."""
        return tuple(self._view(key) for key in self._keys.all())

    def show(self, name_or_id: str) -> KeyView:
        """One key.

        Raises:
            NotFound: no key has that name or id; the hint has the nearest names.

        """
        return self._view(self._keys.find(name_or_id))

    def get(self, key_id: str) -> ApiKey | None:
        """The key of that id, as it is now."""
        return self._keys.get(key_id)

    def owner_of(self, key: ApiKey) -> User:
        """The user whose key it is."""
        return self._users.get(key.owner_id)

    def authenticate(self, authorization: str | None) -> ApiKey:
        """The key in an Authorization header. Memory only: one SHA-256 and two lookups.

        Raises:
            Unauthenticated: it is missing, malformed, unknown, revoked, rotated, disabled or
                expired, or its user is disabled; each with its own text.

        """
        sha256 = hash_secret(read_bearer(authorization))
        key = self._keys.by_secret(sha256)
        if key is None:
            raise Unauthenticated("the API key is not one of this box", hint=MAKE_ONE)
        now = self._clock()
        check_open(key, self.owner_of(key), sha256, now)
        self._used[key.id] = now
        return key

    # --- changing -----------------------------------------------------------

    async def create(
        self, request: CreateKeyRequest, owner: User, *, created_by: str = ""
    ) -> CreatedKey:
        """Make a key of that owner; the answer is the only place where its secret ever is.

        Raises:
            InvalidRequest: a value is wrong; ``param`` names it.
            Conflict: a key that is not revoked has the name.
            NotFound: the owner is not there any more.

        """
        now = self._clock()
        secret = make_secret()
        key = new_key(request, owner, created_by, secret, now)
        check_key(key)
        if key.expires_at is not None:
            check_expiry(key.expires_at, now)
        async with self._writing:
            self._users.get(owner.id)
            self._keys.check_free(key)
            await self._store_or_undo(key, None)
        self._record("key.created", f"the key {key.name!r} is made for {' and '.join(key.scopes)}")
        return with_secret(key, secret)

    async def edit(self, name_or_id: str, request: EditKeyRequest) -> KeyView:
        """Change what is given of a key, from the next request on; disabling it ends its streams.

        When it cannot be stored, the key is as it was.

        Raises:
            NotFound: no key has that name or id; the hint has the nearest names.
            InvalidRequest: a value is wrong; ``param`` names it.
            Conflict: another key that is not revoked has the name; or this one is revoked.

        """
        now = self._clock()
        async with self._writing:
            before = self._keys.find_live(name_or_id)
            key = edited_key(before, request, now)
            check_key(key, limits_in="")
            if isinstance(request.expires_at, int | float):
                check_expiry(request.expires_at, now)
            self._keys.check_free(key)
            if key == before:
                return self._view(key)
            await self._store_or_undo(key, before)
        self._record("key.changed", told_edit(before, key))
        if before.disabled_at is None and key.disabled_at is not None:
            self._shut(key, f"the key {key.name!r} was disabled")
        return self._view(key)

    async def rotate(self, name_or_id: str, request: RotateKeyRequest) -> CreatedKey:
        """Give a key a new secret, which is shown this once; the old one opens for the grace.

        The one before the old one opens nothing any more, whatever grace it had.

        Raises:
            NotFound: no key has that name or id; the hint has the nearest names.
            InvalidRequest: the grace is negative, or too long.
            Conflict: the key is revoked.

        """
        check_grace(request.grace_seconds)
        secret = make_secret()
        async with self._writing:
            before = self._keys.find_live(name_or_id)
            until = self._clock() + request.grace_seconds
            key = rotated_key(before, secret, until)
            await self._store_or_undo(key, before)
        old = f"until {date(until)}" if request.grace_seconds else "not any more"
        self._record(
            "key.rotated", f"the key {key.name!r} has a new secret; the old one opens {old}"
        )
        return with_secret(key, secret, previous_until=until if request.grace_seconds else None)

    async def revoke(self, name_or_id: str) -> KeyView:
        """Make a key invalid, at once and for good. To revoke it again changes nothing.

        Raises:
            NotFound: no key has that name or id; the hint has the nearest names.

        """
        async with self._writing:
            key = self._keys.find(name_or_id)
            if key.revoked_at is None:
                key = msgspec.structs.replace(
                    key,
                    revoked_at=self._clock(),
                    last_used_at=self._used.get(key.id, key.last_used_at),
                )
                self._keys.put(key)
                self._shut(key, f"the key {key.name!r} was revoked")
                self._record("key.revoked", f"the key {key.name!r} is revoked")
            # Stored again even if it was revoked before: that may have failed half-way.
            await self._store.save_key(key)
        return self._view(key)

    async def flush(self) -> None:
        """Write the last-used times that the store does not have yet."""
        async with self._writing:
            used, self._used = self._used, {}
            for id, at in used.items():
                if key := self._keys.get(id):
                    self._keys.put(msgspec.structs.replace(key, last_used_at=at))
            try:
                await self._store.touch_keys(used)
            except Exception:
                self._used = used | self._used
                raise

    # --- what users tell of themselves ----------------------------------------

    def live_of(self, user_id: str) -> int:
        """How many of a user's keys are not revoked."""
        return sum(key.revoked_at is None for key in self._keys.of(user_id))

    def shut_all_of(self, user_id: str, reason: str) -> None:
        """A user is disabled, and so are all its keys for as long as that lasts."""
        for key in self._keys.of(user_id):
            self._shut(key, reason)

    def forget_all_of(self, user_id: str, reason: str) -> None:
        """A user is gone with its keys, which are not in the store any more."""
        for key in self._keys.of(user_id):
            self._shut(key, reason)
            self._keys.drop(key)
            self._used.pop(key.id, None)

    async def _store_or_undo(self, key: ApiKey, before: ApiKey | None) -> None:
        # In memory first: a write that nobody waits for any more is carried out all the same.
        self._keys.put(key)
        try:
            await self._store.save_key(key)
        except Exception:
            # Its user may have been deleted meanwhile, and this key with it.
            if before is not None and self._keys.get(key.id):
                self._keys.put(before)
            else:
                self._keys.drop(key)
            raise

    def _shut(self, key: ApiKey, reason: str) -> None:
        for callback in self._when_shut:
            callback(key.id, reason)

    def _view(self, key: ApiKey) -> KeyView:
        return key_view(
            key,
            self.owner_of(key),
            used_at=self._used.get(key.id),
            quota_used_tokens=self._quota_used(key.id) if key.quota else None,
            now=self._clock(),
        )
