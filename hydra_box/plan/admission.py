"""Whether a key may send one more request now, and what is left to it.

A limit per minute is a token bucket: what was taken drains away evenly, one minute's worth a
minute. Nobody knows what an answer takes before it has ended, so a request reserves the most that
it may take, and that is replaced with what it took. Admitted is who has something left, so that a
key is never over a limit by more than one request's reservation.

1. As many requests under way as the key may have: refused.
2. Less than one whole request left of this minute's: refused.
3. No token left of this minute's that is not reserved: refused.
4. Else admitted. A refusal takes nothing.
"""

from __future__ import annotations

import math

from hydra_box.errors import RateLimited
from hydra_box.plan.words import counted
from hydra_box.types import Frozen, KeyLimits

MINUTE_SECONDS = 60.0
UNDER_WAY_RETRY_SECONDS = 1
"""When to come again if only the end of another request helps."""

_SLACK_SECONDS = 0.01
"""Far more than the rounding of any clock: who waits as long as told is admitted."""


class Bucket(Frozen, frozen=True, kw_only=True):
    """What was taken at a moment; it has been draining since."""

    taken: float = 0.0
    at: float = 0.0
    """In seconds of any clock that never goes back."""


class KeyLoad(Frozen, frozen=True, kw_only=True):
    """What a key has under way, and what it has taken this minute."""

    under_way: int = 0
    reserved: int = 0
    """Tokens that the requests under way may take."""
    requests: Bucket = Bucket()
    tokens: Bucket = Bucket()


class Left(Frozen, frozen=True, kw_only=True):
    """What is left of one limit."""

    limit: int
    remaining: int
    reset_seconds: float
    """Until all of it is left again, if nothing more is taken."""


class AllLeft(Frozen, frozen=True, kw_only=True):
    """What is left of the limits per minute; None: there is no such limit."""

    requests: Left | None
    tokens: Left | None


def admit(name: str, load: KeyLoad, limits: KeyLimits, reservation: int, now: float) -> KeyLoad:
    """The load with one more request under way.

    Args:
        name: the key's, for the refusal's text.
        load: what it has under way and has taken.
        limits: what it may.
        reservation: the most tokens that the request takes.
        now: in seconds of the clock of ``load``.

    Raises:
        RateLimited: it is at a limit; says which, and when to come again.

    """
    most = limits.concurrent_requests
    if most is not None and load.under_way >= most:
        raise RateLimited(
            f"the key {name!r} has {counted(load.under_way, 'request')} under way, "
            "as many as it may",
            hint="send the next one when one has ended",
            retry_after_seconds=UNDER_WAY_RETRY_SECONDS,
        )
    requests, tokens = load.requests, load.tokens
    if (per_minute := limits.requests_per_minute) is not None:
        requests = _drained(requests, per_minute, now)
        if (missing := requests.taken + 1 - per_minute) > 0:
            raise _spent(name, "request", per_minute, requests.taken, missing)
        requests = Bucket(taken=requests.taken + 1, at=now)
    if (per_minute := limits.tokens_per_minute) is not None:
        tokens = _drained(tokens, per_minute, now)
        if tokens.taken + load.reserved >= per_minute:
            raise _no_tokens(name, per_minute, tokens.taken, load.reserved)
    return KeyLoad(
        under_way=load.under_way + 1,
        reserved=load.reserved + reservation,
        requests=requests,
        tokens=tokens,
    )


def settle(load: KeyLoad, limits: KeyLimits, reservation: int, tokens: int, now: float) -> KeyLoad:
    """The load once a request has ended, and took so many tokens of those that it reserved.

    What drains away is forgotten, so that the load of a key that did nothing lately is empty.
    """
    taken = Bucket()
    if (per_minute := limits.tokens_per_minute) is not None:
        left = _drained(load.tokens, per_minute, now)
        taken = _kept(Bucket(taken=left.taken + tokens, at=now))
    requests = Bucket()
    if (per_minute := limits.requests_per_minute) is not None:
        requests = _kept(_drained(load.requests, per_minute, now))
    return KeyLoad(
        under_way=load.under_way - 1,
        reserved=load.reserved - reservation,
        requests=requests,
        tokens=taken,
    )


def left(load: KeyLoad, limits: KeyLimits, now: float) -> AllLeft:
    """What is left to the key now."""
    return AllLeft(
        requests=_left(load.requests, 0, limits.requests_per_minute, now),
        tokens=_left(load.tokens, load.reserved, limits.tokens_per_minute, now),
    )


def _left(bucket: Bucket, reserved: int, per_minute: int | None, now: float) -> Left | None:
    if per_minute is None:
        return None
    taken = _drained(bucket, per_minute, now).taken + reserved
    return Left(
        limit=per_minute,
        remaining=max(0, math.floor(per_minute - taken)),
        reset_seconds=taken * MINUTE_SECONDS / per_minute,
    )


def _drained(bucket: Bucket, per_minute: int, now: float) -> Bucket:
    gone = max(0.0, now - bucket.at) * per_minute / MINUTE_SECONDS
    return Bucket(taken=max(0.0, bucket.taken - gone), at=max(now, bucket.at))


def _kept(bucket: Bucket) -> Bucket:
    return bucket if bucket.taken else Bucket()


def _no_tokens(name: str, per_minute: int, taken: float, reserved: int) -> RateLimited:
    if reserved < per_minute:
        return _spent(name, "token", per_minute, taken, taken + reserved - per_minute, reserved)
    return RateLimited(
        f"the key {name!r} may take {per_minute:,} tokens a minute, and its requests under way "
        f"may take {reserved:,}",
        hint="send the next one when one has ended; max_tokens makes them take less",
        retry_after_seconds=UNDER_WAY_RETRY_SECONDS,
    )


def _spent(
    name: str, what: str, per_minute: int, taken: float, missing: float, reserved: int = 0
) -> RateLimited:
    seconds = math.floor(missing * MINUTE_SECONDS / per_minute + _SLACK_SECONDS) + 1
    also = f", and its requests under way may take {reserved:,}" if reserved else ""
    return RateLimited(
        f"the key {name!r} may take {counted(per_minute, what)} a minute, and has taken "
        f"{math.ceil(taken):,}{also}",
        hint=f"try again in {seconds:,} s",
        retry_after_seconds=seconds,
    )
