"""Remote endpoints that back public services."""

from __future__ import annotations

from hydra_box.types.base import Frozen


class Upstream(Frozen, frozen=True, kw_only=True):
    """A remote OpenAI-compatible endpoint that backs a public service: one row.

    Its key is not in here: it lies in a file of its own.
    """

    id: str
    """``up-`` and 12 hex digits; names the file of its key."""
    service_id: str
    base_url: str
    """With ``/v1`` or whatever stands before ``/chat/completions``; no slash at the end."""
    model: str
    """What the model is called there."""
    weight: float = 1.0
    """Its share of the requests beside the service's other upstreams."""
    most_requests: int = 64
    """Requests that it is given at once."""
    allows_private: bool = False
    """An admin said that it may be at a private, loopback or link-local address."""
    created_at: float
