"""Whether an instance that serves is alive: what is seen of it from look to look, and what follows.

An engine is asked while a request, or a probe, waits for it. It is heard when it answers: a token,
a whole answer, a step in its own counters.

1. DEAD: its socket takes no connection for ``DEAF_SECONDS``.
2. DEAD: it answered ``MOST_WRONG_ANSWERS`` probes in turn, and wrongly.
3. DEAD: it is asked, and for ``hang_seconds`` it was not heard and did no work: it is stopped, or
   waits for something that never comes.
4. DEAD: it is asked, and for ``busy_hang_seconds`` it was not heard, whatever work it does. A long
   prompt on a slow CPU is work as well, so that this bound is far longer.
5. SUSPECT: a quarter of the way to 1 or 3. It takes no new request until it is heard or works.
6. ALIVE: everything else, above all an engine that nobody asks.
"""

from __future__ import annotations

from enum import StrEnum

from hydra_box.plan.words import counted
from hydra_box.types import Frozen

DEAF_SECONDS = 10.0
MOST_WRONG_ANSWERS = 3
SUSPECT_SHARE = 4
LEAST_WORK = 0.05
"""Cores; threads that only wait wake now and then, and use less."""


class Limits(Frozen, frozen=True, kw_only=True):
    """How patient to be."""

    hang_seconds: float
    """0: nothing hangs."""
    busy_hang_seconds: float
    probe_seconds: float
    """Without an answer for so long it is asked for one token."""


class Pulse(Frozen, frozen=True, kw_only=True):
    """What one look sees of an instance."""

    heard: int
    """Parts of answers that came from it since it was ready."""
    asked: int
    """Requests that wait for it, an unanswered probe included."""
    listens: bool = True
    steps: float = 0.0
    """What the engine itself counts; 0: it did not say."""
    cpu_seconds: float = 0.0
    read_bytes: int = 0
    wrong_answers: int = 0
    """Probes in turn that it answered wrongly."""


class Vitals(Frozen, frozen=True, kw_only=True):
    """An instance over all looks so far."""

    pulse: Pulse
    """The last one."""
    quiet_seconds: float = 0.0
    """Since it was last heard."""
    silent_seconds: float = 0.0
    """That it is asked and not heard."""
    still_seconds: float = 0.0
    """That it is asked, not heard, and does no work."""
    deaf_seconds: float = 0.0
    """That its socket takes no connection."""


class Life(StrEnum):
    """How an instance is."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"


class Verdict(Frozen, frozen=True, kw_only=True):
    """How it is, and why if that is not well."""

    life: Life
    reason: str = ""


def seen(before: Vitals | None, pulse: Pulse, seconds: float, *, most_seconds: float) -> Vitals:
    """The vitals after a look, ``seconds`` after the one before.

    It adds ``most_seconds`` at most: when the daemon itself stood still, it saw nothing meanwhile,
    and an engine that stood still with it needs a moment to show that it lives.
    """
    if before is None:
        return Vitals(pulse=pulse)
    last, step = before.pulse, min(seconds, most_seconds)
    heard = pulse.heard > last.heard or (last.steps > 0 and pulse.steps > last.steps)
    asked = pulse.asked > 0 and last.asked > 0
    worked = pulse.cpu_seconds - last.cpu_seconds > LEAST_WORK * seconds
    worked = worked or pulse.read_bytes > last.read_bytes
    waits = asked and not heard
    return Vitals(
        pulse=pulse,
        quiet_seconds=0.0 if heard else before.quiet_seconds + step,
        silent_seconds=before.silent_seconds + step if waits else 0.0,
        still_seconds=before.still_seconds + step if waits and not worked else 0.0,
        deaf_seconds=0.0 if pulse.listens else before.deaf_seconds + step,
    )


def wants_probe(vitals: Vitals, limits: Limits) -> bool:
    """Whether to ask it for a token: nobody else does, and its last answer is too long ago.

    While requests wait for it, they tell; a probe would only stand in their way.
    """
    return vitals.quiet_seconds >= limits.probe_seconds and vitals.pulse.asked == 0


def verdict(vitals: Vitals, limits: Limits) -> Verdict:
    """How an instance is."""
    hang = limits.hang_seconds
    if not hang:
        return Verdict(life=Life.ALIVE)
    deaf = min(DEAF_SECONDS, hang)
    if reason := _death(vitals, limits, deaf):
        return Verdict(life=Life.DEAD, reason=f"the engine hangs: {reason}")
    if vitals.still_seconds >= hang / SUSPECT_SHARE or vitals.deaf_seconds >= deaf / SUSPECT_SHARE:
        waited = max(vitals.still_seconds, vitals.deaf_seconds)
        return Verdict(life=Life.SUSPECT, reason=f"it has given no sign of life for {waited:.0f} s")
    return Verdict(life=Life.ALIVE)


def _death(vitals: Vitals, limits: Limits, deaf_seconds: float) -> str | None:
    """Why it has to go (cases 1 to 4)."""
    pulse = vitals.pulse
    if vitals.deaf_seconds >= deaf_seconds:
        return f"its socket has taken no connection for {vitals.deaf_seconds:.0f} s"
    if pulse.wrong_answers >= MOST_WRONG_ANSWERS:
        return f"it answered {pulse.wrong_answers} requests of one token wrongly"
    waiting = f"{counted(pulse.asked, 'request')} waited, and for"
    if vitals.still_seconds >= limits.hang_seconds:
        return f"{waiting} {vitals.still_seconds:.0f} s no token came and no work was done"
    if vitals.silent_seconds >= limits.busy_hang_seconds:
        return f"{waiting} {vitals.silent_seconds:.0f} s no token came, although it works"
    return None
