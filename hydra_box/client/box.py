"""The box, its machine, and what happens on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hydra_box.client.base import (
    API,
    EVENTS_SILENCE_SECONDS,
    LIVE_SILENCE_SECONDS,
    SLOW_ANSWER_SECONDS,
    Calls,
)
from hydra_box.messages import BoxStatus, RestartView
from hydra_box.types import Event, Machine


class BoxCalls(Calls):
    """The box, its machine, and what happens on it."""

    def status(self) -> BoxStatus:
        """What the box is doing, and what needs attention."""
        return self._connection.call("GET", f"{API}/status", BoxStatus)

    def restart(self) -> RestartView:
        """Have the daemon hand over to another one in its place; the engines go on."""
        return self._connection.call(
            "POST", f"{API}/restart", RestartView, seconds=SLOW_ANSWER_SECONDS
        )

    def machine(self) -> Machine:
        """What the machine has, and what of it is free."""
        return self._connection.call("GET", f"{API}/machine", Machine)

    def machine_live(self) -> Iterator[Machine]:
        """The machine about once a second, until the daemon stops."""
        for data in self._connection.event_data(
            "GET", f"{API}/machine/live", silence_seconds=LIVE_SILENCE_SECONDS
        ):
            yield self._connection.decode(data, Machine, "a sample of the machine")

    def events(self, after: int | None = None) -> Iterator[Event]:
        """Events as they happen, first those stored after the id ``after``; until it stops."""
        for data in self._connection.event_data(
            "GET",
            f"{API}/events",
            params={} if after is None else {"after": after},
            silence_seconds=EVENTS_SILENCE_SECONDS,
        ):
            yield self._connection.decode(data, Event, "an event")

    def recent_events(self, *, service: str | None = None, limit: int = 100) -> tuple[Event, ...]:
        """The last events that were stored, of one service or of all, oldest first."""
        params: dict[str, Any] = {"limit": limit}
        if service is not None:
            params["service"] = service
        return self._connection.call(
            "GET", f"{API}/events/recent", tuple[Event, ...], params=params
        )
