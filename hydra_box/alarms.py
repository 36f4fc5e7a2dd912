"""Alarms: what is wrong now and a person should look at, from whichever room saw it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from hydra_box.journal import Record
from hydra_box.messages import Attention
from hydra_box.plan.alarms import Sign
from hydra_box.types import Frozen, Severity


class Alarm(Frozen, frozen=True, kw_only=True):
    """One thing that is wrong, for as long as it is."""

    id: str
    """Names it for good: ``disk.home``, ``gpu.GPU-5c1d``."""
    attention: Attention
    severity: Severity
    raised_at: float


class Alarms:
    """Every alarm that is raised now; each begins and ends with one event.

    Args:
        record: stores, publishes and logs an event.
        clock: Unix time.

    """

    def __init__(self, record: Record, *, clock: Callable[[], float] = time.time) -> None:
        self._record = record
        self._clock = clock
        self._raised: dict[str, Alarm] = {}

    def raise_(
        self,
        id: str,
        message: str,
        hint: str | None = None,
        severity: Severity = Severity.WARNING,
        service_name: str | None = None,
    ) -> None:
        """Say that something is wrong; said again, only the words change, without an event."""
        attention = Attention(message=message, hint=hint, service_name=service_name)
        if earlier := self._raised.get(id):
            self._raised[id] = replace(earlier, attention=attention, severity=severity)
            return
        self._raised[id] = Alarm(
            id=id, attention=attention, severity=severity, raised_at=self._clock()
        )
        told = message if hint is None else f"{message}; hint: {hint}"
        self._record("alarm.raised", told, severity=severity)

    def clear(self, id: str) -> None:
        """It is over; one that was not raised is left alone."""
        if alarm := self._raised.pop(id, None):
            self._record("alarm.cleared", f"over: {alarm.attention.message}")

    def hold(self, scope: str, signs: Iterable[Sign]) -> None:
        """Have exactly these be raised of the alarms whose ids begin with ``scope``."""
        due = {one.id: one for one in signs}
        for id in [one for one in self._raised if one.startswith(scope) and one not in due]:
            self.clear(id)
        for one in due.values():
            self.raise_(one.id, one.message, one.hint, one.severity, one.service_name)

    def raised(self) -> frozenset[str]:
        """The ids of all of them."""
        return frozenset(self._raised)

    def is_raised(self, id: str) -> bool:
        """Whether this one is."""
        return id in self._raised

    def all(self) -> tuple[Alarm, ...]:
        """Every alarm, the worst first, then the oldest."""
        worst_first = (Severity.ERROR, Severity.WARNING, Severity.INFO)
        return tuple(
            sorted(
                self._raised.values(),
                key=lambda one: (worst_first.index(one.severity), one.raised_at, one.id),
            )
        )

    def list(self) -> tuple[Attention, ...]:
        """What "needs attention" shows of them."""
        return tuple(one.attention for one in self.all())
