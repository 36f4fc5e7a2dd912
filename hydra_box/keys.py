"""API keys: made once, shown once, and known by their SHA-256 only.

A secret is ``hb-`` and 43 URL-safe characters, 256 random bits. So much chance needs no slow
hash: nobody guesses it, and each request can afford a SHA-256.
"""

from __future__ import annotations

import difflib
import hashlib
import secrets
import time
from collections.abc import Callable

import msgspec

from hydra_box.errors import Conflict, NotFound, Unauthenticated
from hydra_box.journal import Record
from hydra_box.key_rules import LONGEST_NAME, check_new_key, date
from hydra_box.messages import CreatedKey, CreateKeyRequest, KeyView
from hydra_box.store import Store
from hydra_box.types import ApiKey, User

SECRET_PREFIX = "hb-"  # noqa: S105 - the part of a secret that is not secret
LONGEST_CREDENTIAL = 1024
"""Characters of an Authorization header; a longer one is refused before it is hashed."""

_MAKE_ONE = "make one with 'hydra-box keys create --name NAME'"
_SEND = "send the header 'Authorization: Bearer hb-...'"


def make_secret() -> str:
    """A new key: ``hb-`` and 43 URL-safe characters."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """SHA-256 of the whole key, in hex; any text has one."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def mask_secret(secret: str) -> str:
    """What may be shown of a key: its first and last four characters."""
    return f"{secret[:4]}...{secret[-4:]}"


def read_bearer(authorization: str | None) -> str:
    """The secret in an Authorization header; it need not be a valid one.

    Raises:
        Unauthenticated: there is none, or the header is not ``Bearer`` and one word.

    """
    if not authorization:
        raise Unauthenticated("no API key: the Authorization header is missing", hint=_SEND)
    if len(authorization) > LONGEST_CREDENTIAL:
        raise Unauthenticated(
            f"the Authorization header has {len(authorization):,} characters, "
            f"more than {LONGEST_CREDENTIAL:,}",
            hint=_SEND,
        )
    match authorization.split():
        case []:
            raise Unauthenticated("no API key: the Authorization header is empty", hint=_SEND)
        case [scheme, secret] if scheme.lower() == "bearer":
            return secret
    raise Unauthenticated("the Authorization header is not 'Bearer' and a key", hint=_SEND)


class KeyRing:
    """Every key in memory, with the store behind; the only writer of keys."""

    def __init__(
        self, store: Store, *, record: Record, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._record = record
        self._clock = clock
        self._keys: dict[str, ApiKey] = {}
        """By SHA-256, in the order they were made."""
        self._used: dict[str, float] = {}
        """Key id to its last use, of those not yet in the store."""

    async def load(self) -> None:
        """Read the keys from the store."""
        self._keys = {key.sha256: key for key in await self._store.keys()}

    def list(self) -> tuple[KeyView, ...]:
        """Every key, revoked ones too, oldest first."""
        return tuple(self._view(key) for key in self._keys.values())

    async def create(self, request: CreateKeyRequest, owner: User) -> CreatedKey:
        """Make a key; the answer is the only place where its secret ever is.

        Raises:
            InvalidRequest: a value is wrong; ``param`` names it.
            Conflict: a key that is not revoked has the name.

        """
        now = self._clock()
        check_new_key(request, now)
        if any(key.name == request.name for key in self._live()):
            raise Conflict(
                f"the key name {request.name!r} is taken",
                hint="choose another name, or revoke that key first",
                param="name",
            )
        secret = make_secret()
        key = ApiKey(
            id=f"key-{secrets.token_hex(6)}",
            name=request.name,
            owner_id=owner.id,
            sha256=hash_secret(secret),
            masked=mask_secret(secret),
            scopes=tuple(dict.fromkeys(request.scopes)),
            created_at=now,
            expires_at=request.expires_at,
            models=tuple(dict.fromkeys(request.models)),
            limits=request.limits,
        )
        # In memory first, so that nobody can take the name while this one is being stored.
        self._keys[key.sha256] = key
        try:
            await self._store.save_key(key)
        except Exception:
            del self._keys[key.sha256]
            raise
        self._record("key.created", f"the key {key.name!r} is made for {' and '.join(key.scopes)}")
        return CreatedKey(
            key=secret,
            id=key.id,
            name=key.name,
            owner_id=key.owner_id,
            masked=key.masked,
            scopes=key.scopes,
            created_at=key.created_at,
        )

    async def revoke(self, name_or_id: str) -> KeyView:
        """Make a key invalid, at once and for good. To revoke it again changes nothing.

        Raises:
            NotFound: no key has that name or id; the hint has the nearest names.

        """
        key = self._find(name_or_id)
        if key.revoked_at is None:
            key = msgspec.structs.replace(
                key,
                revoked_at=self._clock(),
                last_used_at=self._used.get(key.id, key.last_used_at),
            )
            self._keys[key.sha256] = key
            self._record("key.revoked", f"the key {key.name!r} is revoked")
        # Stored again even if it was revoked before: that may have failed half-way.
        await self._store.save_key(key)
        return self._view(key)

    def authenticate(self, authorization: str | None) -> ApiKey:
        """The key in an Authorization header. Memory only: one SHA-256 and one lookup.

        Raises:
            Unauthenticated: it is missing, malformed, unknown, revoked or expired, each with its
                own text.

        """
        key = self._keys.get(hash_secret(read_bearer(authorization)))
        if key is None:
            raise Unauthenticated("the API key is not one of this box", hint=_MAKE_ONE)
        if key.revoked_at is not None:
            raise Unauthenticated(f"the API key {key.name!r} was revoked", hint=_MAKE_ONE)
        now = self._clock()
        if key.expires_at is not None and key.expires_at <= now:
            raise Unauthenticated(
                f"the API key {key.name!r} expired on {date(key.expires_at)}", hint=_MAKE_ONE
            )
        self._used[key.id] = now
        return key

    async def flush(self) -> None:
        """Write the last-used times that the store does not have yet."""
        used, self._used = self._used, {}
        self._keys = {
            sha256: msgspec.structs.replace(key, last_used_at=used[key.id])
            if key.id in used
            else key
            for sha256, key in self._keys.items()
        }
        try:
            await self._store.touch_keys(used)
        except Exception:
            self._used = used | self._used
            raise

    def _live(self) -> tuple[ApiKey, ...]:
        return tuple(key for key in self._keys.values() if key.revoked_at is None)

    def _find(self, name_or_id: str) -> ApiKey:
        by_id = [key for key in self._keys.values() if key.id == name_or_id]
        by_name = [key for key in self._keys.values() if key.name == name_or_id]
        if found := by_id or by_name:
            # A name may have been used again: then the live key is meant, else the newest.
            return max(found, key=lambda key: (key.revoked_at is None, key.created_at))
        shown = name_or_id[:LONGEST_NAME]
        names = sorted({key.name for key in self._live()})
        near = difflib.get_close_matches(shown, names, n=3, cutoff=0.0)
        hint = f"the nearest: {', '.join(near)}" if near else _MAKE_ONE
        raise NotFound(f"there is no key {shown!r}", hint=hint, param="name")

    def _view(self, key: ApiKey) -> KeyView:
        return KeyView(
            id=key.id,
            name=key.name,
            owner_id=key.owner_id,
            masked=key.masked,
            scopes=key.scopes,
            created_at=key.created_at,
            last_used_at=self._used.get(key.id, key.last_used_at),
            revoked_at=key.revoked_at,
            expires_at=key.expires_at,
            models=key.models,
            limits=key.limits,
        )
