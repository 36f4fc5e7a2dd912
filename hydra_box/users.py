"""Users: who owns services and keys. One of them, ``local``, is the box's owner.

A user that is disabled keeps everything that it has, and none of its keys opens anything. One that
owns no service may be deleted, and takes its keys along; the books keep its name.
"""

from __future__ import annotations

import asyncio
import difflib
import secrets
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from hydra_box.errors import Conflict, NotFound
from hydra_box.journal import Record
from hydra_box.labels import LONGEST_LABEL, check_label
from hydra_box.messages import CreateUserRequest, EditUserRequest, UserView
from hydra_box.shown.numbers import count
from hydra_box.store import Store
from hydra_box.types import User

_SEE_ALL = "hydra-box users lists them"


class UsersKeys(Protocol):
    """What a user's keys are asked and told."""

    def live_of(self, user_id: str) -> int:
        """How many of them are not revoked."""

    def shut_all_of(self, user_id: str, reason: str) -> None:
        """None of them opens anything from now on."""

    def forget_all_of(self, user_id: str, reason: str) -> None:
        """They are gone, and so is their user."""


def _no_services(user_id: str) -> int:  # noqa: ARG001 - a box without any
    return 0


class Users:
    """Every user in memory, with the store behind; the only writer of users.

    Args:
        store: where they are kept.
        record: notes what happened.
        services_of: how many services a user owns, by its id.
        clock: seconds since the epoch.

    """

    def __init__(
        self,
        store: Store,
        *,
        record: Record,
        services_of: Callable[[str], int] = _no_services,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._record = record
        self._services_of = services_of
        self._clock = clock
        self._users: dict[str, User] = {}
        """By id, in the order they were made."""
        self._local_id = ""
        self._keys: UsersKeys | None = None
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        """Read the users from the store, which has the box's owner from now on."""
        self._local_id = (await self._store.local_user()).id
        self._users = {user.id: user for user in await self._store.users()}

    def attend(self, keys: UsersKeys) -> None:
        """From now on these are the users' keys."""
        self._keys = keys

    @property
    def local(self) -> User:
        """The box's owner."""
        return self._users[self._local_id]

    def list(self) -> tuple[UserView, ...]:
        """Every user, the oldest first."""
        return tuple(self.view(user) for user in self._users.values())

    def get(self, user_id: str) -> User:
        """The user of that id.

        Raises:
            NotFound: there is none.

        """
        if (user := self._users.get(user_id)) is None:
            raise NotFound(f"there is no user {user_id}", hint=_SEE_ALL)
        return user

    def find(self, name_or_id: str) -> User:
        """The user of that id or name.

        Raises:
            NotFound: there is none; the hint has the nearest names.

        """
        if user := self._users.get(name_or_id):
            return user
        names = {user.name: user for user in self._users.values()}
        if user := names.get(name_or_id):
            return user
        shown = name_or_id[:LONGEST_LABEL]
        near = difflib.get_close_matches(shown, sorted(names), n=3, cutoff=0.0)
        hint = f"the nearest: {', '.join(near)}" if near else _SEE_ALL
        raise NotFound(f"there is no user {shown!r}", hint=hint, param="user")

    def view(self, user: User) -> UserView:
        """A user, as shown."""
        return UserView(
            id=user.id,
            name=user.name,
            created_at=user.created_at,
            disabled_at=user.disabled_at,
            keys=self._keys.live_of(user.id) if self._keys else 0,
            services=self._services_of(user.id),
        )

    async def create(self, request: CreateUserRequest) -> UserView:
        """Make a user.

        Raises:
            InvalidRequest: the name is not valid.
            Conflict: another user has it.

        """
        check_label(request.name, of="user")
        async with self._writing:
            self._check_free(request.name, "")
            now = self._clock()
            user = User(id=f"u-{secrets.token_hex(6)}", name=request.name, created_at=now)
            await self._put(user, None)
        self._record("user.created", f"the user {user.name!r} is made")
        return self.view(user)

    async def edit(self, name_or_id: str, request: EditUserRequest) -> UserView:
        """Rename, disable or enable a user; when the store fails, it is as it was.

        Raises:
            NotFound: no user has that name or id.
            InvalidRequest: the new name is not valid.
            Conflict: another user has the name; or it is the box's owner, who stays as they are.

        """
        async with self._writing:
            before = self.find(name_or_id)
            user = self._edited(before, request)
            if user == before:
                return self.view(user)
            await self._put(user, before)
        self._record("user.changed", _told(before, user))
        if self._keys and before.disabled_at is None and user.disabled_at is not None:
            self._keys.shut_all_of(user.id, f"the user {user.name!r} was disabled")
        return self.view(user)

    async def delete(self, name_or_id: str) -> UserView:
        """Delete a user that owns no service, and its keys; the books keep their names.

        Raises:
            NotFound: no user has that name or id.
            Conflict: it owns a service; or it is the box's owner.

        """
        async with self._writing:
            user = self.find(name_or_id)
            self._refuse_local(user, "deleted")
            if services := self._services_of(user.id):
                raise Conflict(
                    f"the user {user.name!r} owns {count(services, 'service')}",
                    hint="hydra-box status shows services, hydra-box delete NAME deletes one",
                )
            view = self.view(user)
            # Disabled in memory first, so that nothing begins while it is being deleted.
            self._users[user.id] = msgspec.structs.replace(user, disabled_at=self._clock())
            try:
                await self._store.delete_user(user.id)
            except Exception:
                self._users[user.id] = user
                raise
            if self._keys:
                self._keys.forget_all_of(user.id, f"the user {user.name!r} was deleted")
            del self._users[user.id]
        self._record("user.deleted", f"the user {user.name!r} is deleted")
        return view

    async def _put(self, user: User, before: User | None) -> None:
        # In memory first: a write that nobody waits for any more is carried out all the same.
        self._users[user.id] = user
        try:
            await self._store.save_user(user)
        except Exception:
            if before is None:
                del self._users[user.id]
            else:
                self._users[user.id] = before
            raise

    def _edited(self, user: User, request: EditUserRequest) -> User:
        if isinstance(request.name, str) and request.name != user.name:
            self._refuse_local(user, "renamed")
            self._check_free(check_label(request.name, of="user"), user.id)
            user = msgspec.structs.replace(user, name=request.name)
        if request.disabled is True and user.disabled_at is None:
            self._refuse_local(user, "disabled")
            user = msgspec.structs.replace(user, disabled_at=self._clock())
        elif request.disabled is False:
            user = msgspec.structs.replace(user, disabled_at=None)
        return user

    def _refuse_local(self, user: User, done: str) -> None:
        if user.id == self._local_id:
            raise Conflict(
                f"the user {user.name!r} is this box's owner, and cannot be {done}",
                hint="hydra-box users create NAME makes another user",
            )

    def _check_free(self, name: str, but: str) -> None:
        if any(user.name == name and user.id != but for user in self._users.values()):
            raise Conflict(
                f"the user name {name!r} is taken", hint="choose another name", param="name"
            )


def _told(before: User, user: User) -> str:
    """What an edit did."""
    done = []
    if before.name != user.name:
        done.append(f"is called {user.name!r}")
    if before.disabled_at is None and user.disabled_at is not None:
        done.append("is disabled")
    if before.disabled_at is not None and user.disabled_at is None:
        done.append("is enabled")
    return f"the user {before.name!r} {' and '.join(done)}"
