"""The keys in memory, found by id, by name and by the hash of a secret."""

from __future__ import annotations

import difflib
from typing import Final

from hydra_box.errors import Conflict, NotFound
from hydra_box.labels import LONGEST_LABEL
from hydra_box.types import ApiKey

MAKE_ONE: Final = "make one with 'hydra-box keys create --name NAME'"


class HeldKeys:
    """Every key, also the revoked ones, in the order they were made."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}
        """By id."""
        self._ids: dict[str, str] = {}
        """SHA-256 of a secret to its key's id; a key that was rotated has two."""

    def all(self) -> tuple[ApiKey, ...]:
        """All of them."""
        return tuple(self._keys.values())

    def live(self) -> tuple[ApiKey, ...]:
        """Those that are not revoked."""
        return tuple(key for key in self._keys.values() if key.revoked_at is None)

    def of(self, user_id: str) -> tuple[ApiKey, ...]:
        """All of one user's."""
        return tuple(key for key in self._keys.values() if key.owner_id == user_id)

    def get(self, key_id: str) -> ApiKey | None:
        """The key of that id."""
        return self._keys.get(key_id)

    def by_secret(self, sha256: str) -> ApiKey | None:
        """The key whose secret has that hash, or whose secret before the last rotation has."""
        return self._keys.get(self._ids.get(sha256, ""))

    def find(self, name_or_id: str) -> ApiKey:
        """The key of that id or name.

        Raises:
            NotFound: there is none; the hint has the nearest names.

        """
        if key := self._keys.get(name_or_id):
            return key
        if found := [key for key in self._keys.values() if key.name == name_or_id]:
            # A name may have been used again: then the live key is meant, else the newest.
            return max(found, key=lambda key: (key.revoked_at is None, key.created_at))
        shown = name_or_id[:LONGEST_LABEL]
        names = sorted({key.name for key in self.live()})
        near = difflib.get_close_matches(shown, names, n=3, cutoff=0.0)
        hint = f"the nearest: {', '.join(near)}" if near else MAKE_ONE
        raise NotFound(f"there is no key {shown!r}", hint=hint, param="name")

    def find_live(self, name_or_id: str) -> ApiKey:
        """The key of that id or name, to be changed.

        Raises:
            NotFound: there is none; the hint has the nearest names.
            Conflict: it is revoked.

        """
        key = self.find(name_or_id)
        if key.revoked_at is not None:
            raise Conflict(f"the key {key.name!r} is revoked, for good", hint=MAKE_ONE)
        return key

    def check_free(self, key: ApiKey) -> None:
        """Whether the key may have its name.

        Raises:
            Conflict: another one that is not revoked has it.

        """
        if any(other.name == key.name and other.id != key.id for other in self.live()):
            raise Conflict(
                f"the key name {key.name!r} is taken",
                hint="choose another name, or revoke that key first",
                param="name",
            )

    def put(self, key: ApiKey) -> None:
        """Hold the key, in the place of the one of its id."""
        if before := self._keys.get(key.id):
            self._forget_secrets(before)
        self._keys[key.id] = key
        self._ids |= dict.fromkeys(_hashes(key), key.id)

    def drop(self, key: ApiKey) -> None:
        """Hold it no longer, if it is held."""
        if held := self._keys.pop(key.id, None):
            self._forget_secrets(held)

    def _forget_secrets(self, key: ApiKey) -> None:
        for sha256 in _hashes(key):
            del self._ids[sha256]


def _hashes(key: ApiKey) -> tuple[str, ...]:
    return (key.sha256,) if key.previous_sha256 is None else (key.sha256, key.previous_sha256)
