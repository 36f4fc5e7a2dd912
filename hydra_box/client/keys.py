"""API keys, and what was used by them."""

from __future__ import annotations

from urllib.parse import quote

from hydra_box.client.base import (
    API,
    Calls,
)
from hydra_box.errors import NotFound
from hydra_box.messages import (
    CreatedKey,
    CreateKeyRequest,
    KeyView,
    UsageBy,
    UsagePer,
    UsageReport,
)


class KeyCalls(Calls):
    """API keys, and what was used by them."""

    def keys(self) -> tuple[KeyView, ...]:
        """Every key, without its secret."""
        return self._connection.call("GET", f"{API}/keys", tuple[KeyView, ...])

    def create_key(self, request: CreateKeyRequest) -> CreatedKey:
        """Make a key; the answer has its secret, this once."""
        return self._connection.call("POST", f"{API}/keys", CreatedKey, body=request)

    def revoke_key(self, name: str) -> KeyView:
        """Revoke a key by name or id."""
        if "/" in name:
            # Such a name cannot be one part of a path, so the key is asked for by its id.
            named = [key for key in self.keys() if key.name == name]
            live_and_newest = max(
                named, key=lambda key: (key.revoked_at is None, key.created_at), default=None
            )
            if live_and_newest is None:
                raise NotFound(f"there is no key {name!r}", param="name")
            name = live_and_newest.id
        return self._connection.call("DELETE", f"{API}/keys/{quote(name, safe='')}", KeyView)

    def usage(
        self,
        *,
        by: UsageBy = UsageBy.MODEL,
        per: UsagePer = UsagePer.DAY,
        since: float | None = None,
        until: float | None = None,
    ) -> UsageReport:
        """What was used; unless ``since`` tells, as long back as the chart of ``per`` is long."""
        times = {"since": since, "until": until}
        params = {name: value for name, value in times.items() if value is not None}
        return self._connection.call(
            "GET", f"{API}/usage", UsageReport, params={"by": by, "per": per, **params}
        )
