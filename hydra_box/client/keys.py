"""API keys."""

from __future__ import annotations

from hydra_box.client.base import API, Calls, part_of_path
from hydra_box.messages import (
    CreatedKey,
    CreateKeyRequest,
    EditKeyRequest,
    KeyView,
    RotateKeyRequest,
)


class KeyCalls(Calls):
    """API keys."""

    def keys(self) -> tuple[KeyView, ...]:
        """Every key, without its secret."""
        return self._connection.call("GET", f"{API}/keys", tuple[KeyView, ...])

    def create_key(self, request: CreateKeyRequest) -> CreatedKey:
        """Make a key; the answer has its secret, this once."""
        return self._connection.call("POST", f"{API}/keys", CreatedKey, body=request)

    def key(self, name: str) -> KeyView:
        """One key, by name or id, without its secret."""
        return self._connection.call("GET", self._path_of_key(name), KeyView)

    def edit_key(self, name: str, request: EditKeyRequest) -> KeyView:
        """Change a key, by name or id: what the request does not give stays as it is."""
        return self._connection.call("PATCH", self._path_of_key(name), KeyView, body=request)

    def rotate_key(self, name: str, *, grace_seconds: float = 0.0) -> CreatedKey:
        """Give a key a new secret, which the answer has, this once; the old opens for the grace."""
        return self._connection.call(
            "POST",
            f"{self._path_of_key(name)}/rotate",
            CreatedKey,
            body=RotateKeyRequest(grace_seconds=grace_seconds),
        )

    def revoke_key(self, name: str) -> KeyView:
        """Revoke a key by name or id."""
        return self._connection.call("DELETE", self._path_of_key(name), KeyView)

    def _path_of_key(self, name: str) -> str:
        return f"{API}/keys/{part_of_path(name, self._key_ids, 'there is no key')}"

    def _key_ids(self) -> dict[str, str]:
        """By name; of keys that had it one after another, of the live one or else the newest."""
        last = sorted(self.keys(), key=lambda key: (key.revoked_at is None, key.created_at))
        return {key.name: key.id for key in last}
