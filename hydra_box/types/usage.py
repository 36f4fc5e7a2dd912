"""What is noted of every request, and what it costs."""

from __future__ import annotations

from enum import StrEnum

from hydra_box.types.base import Frozen

NANOS = 1_000_000_000
"""Costs are whole billionths of the box's unit of account, so that sums are exact."""


class Price(Frozen, frozen=True, kw_only=True):
    """What a service's tokens cost, in the box's own unit of account."""

    input_per_million: float
    """For a million prompt tokens."""
    output_per_million: float
    """For a million completion tokens."""


class Outcome(StrEnum):
    """How a request ended."""

    OK = "ok"
    CLIENT_GONE = "client_gone"
    """The client left before the end, or its key was revoked or disabled meanwhile."""
    ENGINE_ERROR = "engine_error"
    """It was let in, and not answered, or not to the end."""
    REFUSED = "refused"
    """It was not let in: a limit, a full queue, a body that the engine does not take."""


class RequestRecord(Frozen, frozen=True, kw_only=True):
    """A request whose key is known, and how it ended: one row of the books.

    Names are kept beside ids, so that it can be read when service, key or user are gone.
    """

    id: str
    """As in its answer's ``x-request-id``."""
    at: float
    """When it ended."""
    key_id: str = ""
    """Empty: no key, by the box's owner."""
    key_name: str = ""
    user_id: str
    user_name: str
    """Of who called."""
    service_id: str
    """Empty: it was refused before its service was known."""
    access_name: str
    instance_id: str = ""
    """The instance or upstream that answered last; empty: none did."""
    model: str
    """The base model."""
    endpoint: str
    """``chat/completions``, ``completions`` or ``embeddings``."""
    stream: bool = False
    outcome: Outcome = Outcome.OK
    estimated: bool = False
    """Its tokens were not counted by the engine."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompt tokens: those that the engine still had in its cache."""
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    """Of the completion tokens, where the engine says so."""
    ttft_seconds: float | None = None
    """From its arrival to the first byte of the answer; of a stream."""
    tpot_seconds: float | None = None
    """``(end - first token) / (completion tokens - 1)``; of a stream of two and more."""
    duration_seconds: float = 0.0
    cost_nanos: int = 0
    energy_millijoules: int = 0
    """Its share of what its instance's GPUs drew; told by the books, when they write it down."""
