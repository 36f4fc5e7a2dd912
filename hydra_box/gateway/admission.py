"""What each key takes just now, so that one client cannot take the whole box.

Its limits and quota are those that the key has at each request, so that an edit counts at the next.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import tzinfo

from hydra_box.config import Settings
from hydra_box.errors import RateLimited
from hydra_box.gateway.access import Caller
from hydra_box.gateway.exchange import Headers
from hydra_box.keys import KeyRing
from hydra_box.local_zone import LocalZone
from hydra_box.plan.admission import (
    UNDER_WAY_RETRY_SECONDS,
    KeyLoad,
    Left,
    admit,
    left,
    settle,
)
from hydra_box.plan.quota import PeriodUse, brought_back, check_quota, start_uses, use, used
from hydra_box.plan.usage import QuotaUse, period_of
from hydra_box.plan.words import counted
from hydra_box.types import ApiKey, KeyLimits, QuotaPeriod

_NOTHING = KeyLoad()
_NO_LIMITS = KeyLimits()
_CORRECTION_SECONDS = 60.0


@dataclass(slots=True)
class _Account:
    """What one key has under way and has taken."""

    at_door: int = 0
    """Requests that have come and are not over, whether admitted or still being read."""
    load: KeyLoad = _NOTHING
    reserved_public: int = 0
    """Tokens that its requests to public services may take."""
    uses: dict[QuotaPeriod, PeriodUse] = field(default_factory=dict)


@dataclass(slots=True)
class Ticket:
    """One request that was admitted, until it is settled."""

    key_id: str | None
    reservation: int
    public: bool
    open: bool = True


class Admission:
    """Each key's account; the box's owner, who needs no key, has none and no limit.

    Args:
        keys: the keys as they are now.
        settings: what every key may at most.
        used: what the books say that keys have used of public services, by their ids.
        zone: whose days, weeks and months count; None: this machine's.
        clock: seconds that never go back.
        now: seconds since the epoch.

    """

    def __init__(
        self,
        keys: KeyRing,
        settings: Settings,
        *,
        used: Mapping[str, QuotaUse] | None = None,
        zone: tzinfo | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._most_at_door = settings.key_concurrency_limit
        self._zone = zone or LocalZone()
        self._clock = clock
        self._now = now
        self._latest = start = now()
        self._accounts = {
            key_id: _Account(uses=start_uses(one, start, self._end))
            for key_id, one in (used or {}).items()
        }

    @contextmanager
    def door(self, caller: Caller) -> Iterator[None]:
        """Count a request, of which nothing is read yet, for as long as the block runs.

        Raises:
            RateLimited: the key has as many under way as any may.

        """
        if caller.key_id is None:
            yield
            return
        account = self._accounts.setdefault(caller.key_id, _Account())
        if account.at_door >= self._most_at_door:
            raise RateLimited(
                f"the key {caller.name!r} has {counted(account.at_door, 'request')} under way, "
                "as many as it may",
                hint="send the next one when one has ended; the setting key_concurrency_limit is "
                "that number",
                retry_after_seconds=UNDER_WAY_RETRY_SECONDS,
            )
        account.at_door += 1
        try:
            yield
        finally:
            account.at_door -= 1
            self._forget_if_empty(caller.key_id, account)

    def admit(self, caller: Caller, *, public: bool, reservation: int) -> Ticket:
        """Let one request in, inside of the ``door``.

        Args:
            caller: whose it is.
            public: it is for a public service, and counts against the key's quota.
            reservation: the most tokens that it takes.

        Raises:
            RateLimited: the key is at one of its limits.
            InsufficientQuota: it has used its quota.

        """
        if caller.key_id is None:
            return Ticket(None, 0, public)
        self._notice_clock()
        account, key = self._accounts[caller.key_id], self._key(caller.key_id)
        limits = key.limits if key else _NO_LIMITS
        load = admit(caller.name, account.load, limits, reservation, self._clock())
        if public and key is not None and key.quota is not None:
            reserved = account.reserved_public
            check_quota(caller.name, key.quota, account.uses, reserved, self._now(), self._end)
        account.load = load
        account.reserved_public += reservation if public else 0
        return Ticket(caller.key_id, reservation, public)

    def settle(self, ticket: Ticket, tokens: int) -> None:
        """A request has ended and took so many tokens; safe to repeat."""
        if ticket.key_id is None or not ticket.open:
            return
        ticket.open = False
        account, key = self._accounts[ticket.key_id], self._key(ticket.key_id)
        limits = key.limits if key else _NO_LIMITS
        account.load = settle(account.load, limits, ticket.reservation, tokens, self._clock())
        if ticket.public:
            account.reserved_public -= ticket.reservation
            if tokens:
                account.uses = use(account.uses, tokens, self._now(), self._end)
        self._forget_if_empty(ticket.key_id, account)

    def headers(self, caller: Caller) -> Headers:
        """What is left to the key, as OpenAI says it; only of the limits that it has."""
        key = self._key(caller.key_id) if caller.key_id else None
        account = self._accounts.get(caller.key_id) if caller.key_id else None
        if key is None or key.limits == _NO_LIMITS:
            return ()
        all_left = left(account.load if account else _NOTHING, key.limits, self._clock())
        return (*_shown(b"requests", all_left.requests), *_shown(b"tokens", all_left.tokens))

    def quota_used(self, key_id: str) -> int | None:
        """Tokens that a key has used in its quota's present period; None: it has no quota."""
        key = self._key(key_id)
        if key is None or key.quota is None:
            return None
        account = self._accounts.get(key_id)
        return used(account.uses, key.quota.period, self._now()) if account else 0

    def _notice_clock(self) -> None:
        """See whether the clock was set back, by more than it is corrected all the time."""
        now = self._now()
        if now < self._latest - _CORRECTION_SECONDS:
            for account in self._accounts.values():
                account.uses = brought_back(account.uses, now, self._end)
            self._latest = now
        self._latest = max(now, self._latest)

    def _forget_if_empty(self, key_id: str, account: _Account) -> None:
        if not account.at_door and not account.uses and account.load == _NOTHING:
            del self._accounts[key_id]

    def _key(self, key_id: str) -> ApiKey | None:
        return self._keys.get(key_id)

    def _end(self, period: QuotaPeriod, now: float) -> float:
        return period_of(period, now, self._zone)[1]


def _shown(what: bytes, one: Left | None) -> Headers:
    if one is None:
        return ()
    return (
        (b"x-ratelimit-limit-" + what, b"%d" % one.limit),
        (b"x-ratelimit-remaining-" + what, b"%d" % one.remaining),
        (b"x-ratelimit-reset-" + what, duration(one.reset_seconds).encode()),
    )


def duration(seconds: float) -> str:
    """As OpenAI writes one, rounded up: ``120ms``, ``1s``, ``6m0s``."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    whole = math.ceil(seconds)
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
