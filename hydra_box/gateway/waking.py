"""Services of which nothing is ready: who wakes them, who waits, and what the others are told."""

from __future__ import annotations

import math
from typing import Protocol

from hydra_box.errors import Unavailable
from hydra_box.gateway.endpoint import RETRY_AFTER_SECONDS, Endpoint

LONGEST_RETRY_AFTER_SECONDS = 600
"""An estimate that is as long may be wrong by as much."""


class Waker(Protocol):
    """Has services serve again; the supervisor."""

    def wake(self, service_id: str) -> None:
        """Begin to wake a service, if it sleeps; returns at once."""
        ...

    def progress(self, service_id: str) -> str | None:
        """What a service that loads is doing, in a few words."""
        ...

    def eta_seconds(self, service_id: str) -> float | None:
        """How long until the next instance of a service is ready; None: that is not known."""
        ...


def hold_seconds(endpoint: Endpoint, prefers: float | None, limit: float) -> float:
    """How long a request waits for a service of which nothing is ready; 0: not at all.

    Who asked a sleeping service has woken it and waits; for one that is being deployed waits only
    who prefers to.

    Args:
        endpoint: the service.
        prefers: what the client said, in seconds; None: nothing.
        limit: the longest that anyone may wait.
    """
    if prefers is None:
        return limit if endpoint.waking_since is not None else 0.0
    return min(prefers, limit)


def not_ready(endpoint: Endpoint, waker: Waker | None, now: float) -> Unavailable:
    """The answer to a request that does not wait (any more) for a service that loads.

    Args:
        endpoint: the service.
        waker: knows what it is doing, and for how long yet.
        now: monotonic seconds, as those of ``waking_since``.
    """
    service_id = endpoint.service.id
    progress = None if waker is None else waker.progress(service_id)
    eta = None if waker is None else waker.eta_seconds(service_id)
    again = None if eta is None else bounded(eta)
    if endpoint.waking_since is None:
        return endpoint.not_ready(progress, again)
    waited = now - endpoint.waking_since
    doing = progress or endpoint.reason
    again = again or retry_after_seconds(endpoint.start_seconds, waited)
    return Unavailable(
        f"the service {endpoint.access_name!r} is waking{f': {doing}' if doing else ''}; "
        f"asked {waited:.0f} s ago",
        hint=f"try again in {again} s, or have it wait: the header Prefer: wait=60",
        retry_after_seconds=again,
    )


def retry_after_seconds(start_seconds: float | None, waited_seconds: float) -> int:
    """What is left of a start that takes as long as the last one did."""
    if start_seconds is None:
        return RETRY_AFTER_SECONDS
    return bounded(start_seconds - waited_seconds)


def bounded(seconds: float) -> int:
    """In whole seconds, rounded up, when to come again: no sooner than in one, nor in hours."""
    return min(max(1, math.ceil(seconds)), LONGEST_RETRY_AFTER_SECONDS)
