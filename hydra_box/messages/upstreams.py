"""Upstreams, as they are set and shown."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from hydra_box.messages.base import Request
from hydra_box.types import Frozen


class UpstreamRequest(Request, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/services/{name}/upstreams``; and one of a deployment's."""

    base_url: str
    """Scheme, host and path, up to what stands before ``/chat/completions``; most end in /v1."""
    model: str
    """What the model is called there."""
    api_key: str | None = None
    """Kept in a file of its own (0600), and never shown."""
    weight: float = 1.0
    """Its share of the requests beside the service's other upstreams."""
    most_requests: int = 64
    """Requests that it is given at once."""
    allow_private: bool = False
    """It may be at a private, loopback or link-local address."""


class EditUpstreamRequest(Request, frozen=True, kw_only=True):
    """Body of ``PATCH /api/v1/services/{name}/upstreams/{id}``: what is not given stays."""

    model: str | UnsetType = UNSET
    api_key: str | UnsetType | None = UNSET
    """Null takes it away."""
    weight: float | UnsetType = UNSET
    most_requests: int | UnsetType = UNSET


class UpstreamView(Frozen, frozen=True, kw_only=True):
    """An upstream, as shown: never its key."""

    id: str
    base_url: str
    model: str
    weight: float
    most_requests: int
    allows_private: bool
    has_key: bool
    healthy: bool
    checked_at: float | None
    """When it was last asked for its models, or answered a request."""
    reason: str | None
    """Why it is not healthy: the fact, then the hint."""
    requests_in_flight: int
    created_at: float
    context_length: int | None = None
    """Tokens that it takes; None: it does not tell."""
