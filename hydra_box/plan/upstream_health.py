"""Whether an upstream serves, as its answers tell, and when it is asked the next time.

It works as a circuit breaker. One that cannot be reached, or refuses, takes no request until it has
answered a probe. One that answers probes and fails at requests comes back each time later, because
only an answered request clears its strikes.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

import msgspec

from hydra_box.types import EngineName, Frozen, Service

PROBE_SECONDS = 30.0
"""A healthy upstream that is not used is asked so often."""
LONGEST_BACKOFF_SECONDS = 60.0
MOST_STRIKES = 3
"""After so many requests in a row that it failed at it is not healthy."""
LONGEST_REST_SECONDS = 300.0
"""However long it asks to be left alone."""


class HealthState(StrEnum):
    """What is known of an upstream."""

    UNCHECKED = "unchecked"
    """It was not asked yet."""
    HEALTHY = "healthy"
    RESTING = "resting"
    """It is at its limit (429), and works."""
    UNHEALTHY = "unhealthy"


class TroubleKind(StrEnum):
    """In which way an upstream did not do what it should."""

    UNREACHABLE = "unreachable"
    """There is no connection, or no answer to a probe."""
    BROKEN = "broken"
    """It failed at a request, or its answer broke off."""
    REFUSED = "refused"
    """It does not take our key, our model or our money: no request of ours will do better."""
    BUSY = "busy"
    """We are at its limit."""


class Trouble(Frozen, frozen=True, kw_only=True):
    """What went wrong."""

    kind: TroubleKind
    reason: str
    """For people: the fact about "it", then the hint; without its address and its words."""
    wait_seconds: float | None = None
    """How long it asked to be left alone; of BUSY."""


class Health(Frozen, frozen=True, kw_only=True):
    """What is known, and what to do about it."""

    state: HealthState = HealthState.UNCHECKED
    reason: str | None = None
    """Why it is RESTING or UNHEALTHY."""
    strikes: int = 0
    """Requests that it failed at since it last answered one."""
    failed_probes: int = 0
    """In a row."""
    next_probe_at: float = 0.0

    @property
    def takes_requests(self) -> bool:
        """Whether requests are sent to it."""
        return self.state is HealthState.HEALTHY

    @property
    def works(self) -> bool:
        """Whether a service can count on it."""
        return self.state in (HealthState.HEALTHY, HealthState.RESTING)


def after_answer(health: Health, now: float) -> Health:
    """It answered a request. One that rests goes on resting."""
    if health.state is HealthState.RESTING:
        return msgspec.structs.replace(health, strikes=0, failed_probes=0)
    return Health(state=HealthState.HEALTHY, next_probe_at=now + PROBE_SECONDS)


def after_probe(health: Health, now: float) -> Health:
    """It answered a probe, so that it may show what it does with requests."""
    if health.state is HealthState.RESTING and now < health.next_probe_at:
        return health
    return Health(
        state=HealthState.HEALTHY, strikes=health.strikes, next_probe_at=now + PROBE_SECONDS
    )


def after_failed_probe(health: Health, trouble: Trouble, now: float) -> Health:
    """It did not answer a probe as it should.

    One that was healthy stays so until it fails again and again, unless it cannot work.
    """
    failed = health.failed_probes + 1
    surely = trouble.kind is not TroubleKind.BROKEN or health.state is not HealthState.HEALTHY
    return _after(health, trouble, now, down=surely or failed >= MOST_STRIKES, failed_probes=failed)


def after_trouble(health: Health, trouble: Trouble, now: float) -> Health:
    """It failed at a request."""
    strikes = health.strikes + 1
    if trouble.kind is TroubleKind.BUSY:
        asked = backoff_seconds(strikes) if trouble.wait_seconds is None else trouble.wait_seconds
        return msgspec.structs.replace(
            health,
            state=HealthState.RESTING,
            reason=trouble.reason,
            strikes=strikes,
            next_probe_at=now + min(max(1.0, asked), LONGEST_REST_SECONDS),
        )
    down = trouble.kind is not TroubleKind.BROKEN or strikes >= MOST_STRIKES
    return _after(health, trouble, now, down=down, strikes=strikes)


def backoff_seconds(times: int) -> float:
    """How long to wait after so many failures in a row: 1, 2, 4 ... 60 s."""
    return min(2.0 ** min(max(0, times - 1), 10), LONGEST_BACKOFF_SECONDS)


def upstreams_reason(service: Service, healths: Collection[tuple[str, Health]]) -> str | None:
    """What is wrong with a service's upstreams (each with its id), if anything is."""
    if service.engine is EngineName.UPSTREAM and not healths:
        return (
            "it has no upstream; "
            f"hint: hydra-box upstreams add {service.name} URL --model NAME gives it one"
        )
    down = [(id, one) for id, one in healths if one.state is HealthState.UNHEALTHY]
    if not down and not any(one.takes_requests for _, one in healths):
        down = [(id, one) for id, one in healths if one.state is HealthState.RESTING]
    told = [f"upstream {id}: {one.reason}" for id, one in down]
    if len(told) > 1:
        fact, _, hint = told[0].partition("; hint: ")
        told[0] = f"{fact} (and {len(told) - 1} more)" + (f"; hint: {hint}" if hint else "")
    return told[0] if told else None


def _after(
    health: Health,
    trouble: Trouble,
    now: float,
    *,
    down: bool,
    strikes: int | None = None,
    failed_probes: int | None = None,
) -> Health:
    strikes = health.strikes if strikes is None else strikes
    failed_probes = health.failed_probes if failed_probes is None else failed_probes
    return Health(
        state=HealthState.UNHEALTHY if down else health.state,
        reason=trouble.reason if down else health.reason,
        strikes=strikes,
        failed_probes=failed_probes,
        next_probe_at=now + backoff_seconds(max(strikes, failed_probes)),
    )
