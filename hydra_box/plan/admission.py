"""Whether a key may send one more request now, and what the answer then costs it.

A limit per minute is a token bucket: it holds at most one minute's worth, is full at first, and
fills evenly. A request is taken out when it is admitted, its tokens when its answer has ended, for
nobody knows them before; so that bucket may go below zero, and is then waited for.

1. As many requests under way as the key may have: refused.
2. Less than one whole request left of this minute's: refused.
3. No token left of this minute's: refused.
4. Else admitted. A refusal takes nothing.
"""

from __future__ import annotations

import math

import msgspec

from hydra_box.errors import RateLimited
from hydra_box.types import Frozen, KeyLimits

MINUTE_SECONDS = 60.0
UNDER_WAY_RETRY_SECONDS = 1
"""When to come again if only the end of another request helps."""

_SLACK_SECONDS = 0.01
"""Far more than the rounding of any clock: who waits as long as told is admitted."""


class Bucket(Frozen, frozen=True, kw_only=True):
    """What was left at a moment; it has been filling since."""

    level: float
    at: float
    """In seconds of any clock that never goes back."""


class KeyLoad(Frozen, frozen=True, kw_only=True):
    """What a key has under way and has taken; a bucket that is None is full."""

    under_way: int = 0
    requests: Bucket | None = None
    tokens: Bucket | None = None


def admit(name: str, load: KeyLoad, limits: KeyLimits, now: float) -> KeyLoad:
    """The load with one more request under way.

    Args:
        name: the key's, for the refusal's text.
        load: what it has under way and has taken.
        limits: what it may.
        now: in seconds of the clock of ``load``.

    Raises:
        RateLimited: it is at a limit; says which, and when to come again.

    """
    most = limits.concurrent_requests
    if most is not None and load.under_way >= most:
        raise RateLimited(
            f"the key {name!r} has {load.under_way:,} requests under way, as many as it may",
            hint="send the next one when one has ended; the key's own limit or the setting "
            "key_concurrency_limit is that number",
            retry_after_seconds=UNDER_WAY_RETRY_SECONDS,
        )
    requests = _left(load.requests, limits.requests_per_minute, now)
    if requests is not None and requests < 1:
        raise _spent(name, "requests", limits.requests_per_minute, requests, missing=1 - requests)
    tokens = _left(load.tokens, limits.tokens_per_minute, now)
    if tokens is not None and tokens <= 0:
        raise _spent(name, "tokens", limits.tokens_per_minute, tokens, missing=-tokens)
    return msgspec.structs.replace(
        load,
        under_way=load.under_way + 1,
        requests=None if requests is None else Bucket(level=requests - 1, at=now),
    )


def finish(load: KeyLoad) -> KeyLoad:
    """The load with one request less under way."""
    return msgspec.structs.replace(load, under_way=load.under_way - 1)


def charge(load: KeyLoad, limits: KeyLimits, tokens: int, now: float) -> KeyLoad:
    """The load once an answer's tokens are taken out of this minute's."""
    left = _left(load.tokens, limits.tokens_per_minute, now)
    if left is None:
        return load
    return msgspec.structs.replace(load, tokens=Bucket(level=left - tokens, at=now))


def _left(bucket: Bucket | None, per_minute: int | None, now: float) -> float | None:
    """What is in a bucket now; None: it has no bottom."""
    if per_minute is None:
        return None
    if bucket is None:
        return float(per_minute)
    filled = max(0.0, now - bucket.at) * per_minute / MINUTE_SECONDS
    return min(float(per_minute), bucket.level + filled)


def _spent(
    name: str, what: str, per_minute: int | None, left: float, *, missing: float
) -> RateLimited:
    most = per_minute or 1
    seconds = math.floor(missing * MINUTE_SECONDS / most + _SLACK_SECONDS) + 1
    return RateLimited(
        f"the key {name!r} may take {most:,} {what} a minute, and has taken "
        f"{math.ceil(most - left):,}",
        hint=f"try again in {seconds:,} s",
        retry_after_seconds=seconds,
    )
