"""How much of its quota a key has used, in periods that end.

All four are counted whatever its quota is, so that an edit from days to months counts at once.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from hydra_box.errors import InsufficientQuota
from hydra_box.plan.usage import QuotaUse
from hydra_box.plan.words import time_left
from hydra_box.types import Frozen, QuotaPeriod, TokenQuota

End = Callable[[QuotaPeriod, float], float]
"""When the period of a moment ends, in seconds since the epoch."""

_LEAST_RETRY_SECONDS = 1


class PeriodUse(Frozen, frozen=True, kw_only=True):
    """Tokens that were used in one period."""

    tokens: int
    until: float
    """When the period ends, in seconds since the epoch."""


Uses = Mapping[QuotaPeriod, PeriodUse]


def start_uses(use: QuotaUse, now: float, end: End) -> dict[QuotaPeriod, PeriodUse]:
    """What the books say that a key has used until now."""
    tokens = {
        QuotaPeriod.DAY: use.day,
        QuotaPeriod.WEEK: use.week,
        QuotaPeriod.MONTH: use.month,
        QuotaPeriod.TOTAL: use.total,
    }
    return {one: PeriodUse(tokens=tokens[one], until=end(one, now)) for one in QuotaPeriod}


def use(uses: Uses, tokens: int, now: float, end: End) -> dict[QuotaPeriod, PeriodUse]:
    """The uses once so many tokens more are used; periods that are over begin anew."""
    added: dict[QuotaPeriod, PeriodUse] = {}
    for period in QuotaPeriod:
        before = uses.get(period)
        if before is None or now >= before.until:
            added[period] = PeriodUse(tokens=tokens, until=end(period, now))
        else:
            added[period] = PeriodUse(tokens=before.tokens + tokens, until=before.until)
    return added


def brought_back(uses: Uses, now: float, end: End) -> dict[QuotaPeriod, PeriodUse]:
    """The uses when the clock was set back: no period ends later than the one of this moment.

    What was used stays used; without this, a clock that was once years ahead would keep a key from
    its next period for years.
    """
    back: dict[QuotaPeriod, PeriodUse] = {}
    for period, one in uses.items():
        until = end(period, now)
        back[period] = one if one.until <= until else PeriodUse(tokens=one.tokens, until=until)
    return back


def used(uses: Uses, period: QuotaPeriod, now: float) -> int:
    """Tokens that were used in the period of this moment."""
    found = uses.get(period)
    return found.tokens if found is not None and now < found.until else 0


def check_quota(
    name: str, quota: TokenQuota, uses: Uses, reserved: int, now: float, end: End
) -> None:
    """Whether there is something left for one more request.

    Args:
        name: the key's, for the refusal's text.
        quota: what it may use.
        uses: what it has used.
        reserved: tokens that its requests under way may take.
        now: in seconds since the epoch.
        end: when periods end.

    Raises:
        InsufficientQuota: there is not; says when to come again.

    """
    taken = used(uses, quota.period, now)
    if taken + reserved < quota.tokens:
        return
    may = f"the key {name!r} may use {quota.tokens:,} tokens of public services"
    when = "in all" if quota.period is QuotaPeriod.TOTAL else f"a {quota.period}"
    if taken < quota.tokens:
        raise InsufficientQuota(
            f"{may} {when}: it has used {taken:,}, and its requests under way may take the rest",
            hint="send the next one when one has ended",
            retry_after_seconds=_LEAST_RETRY_SECONDS,
        )
    fact = f"{may} {when}, and has used {taken:,}"
    per = "" if quota.period is QuotaPeriod.TOTAL else f"/{quota.period}"
    raise_it = f"hydra-box keys edit {shlex.quote(name)} --quota TOKENS{per} raises it"
    if quota.period is QuotaPeriod.TOTAL:
        raise InsufficientQuota(fact, hint=raise_it)
    seconds = max(_LEAST_RETRY_SECONDS, int(end(quota.period, now) - now) + 1)
    raise InsufficientQuota(
        fact,
        hint=f"the next {quota.period} begins in {time_left(seconds)}; {raise_it}",
        retry_after_seconds=seconds,
    )
