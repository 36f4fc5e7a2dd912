"""What every screen and widget of one console shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from textual.dom import DOMNode
from textual.signal import Signal

from hydra_box.messages import ServicesUpdate
from hydra_box.types import Event, Machine
from tui.link import Link
from tui.notebook import Notebook
from tui.state import BoxState


class StartWay(Protocol):
    """One way to start the daemon, as it is offered when none runs."""

    @property
    def key(self) -> str:
        """What to press."""

    @property
    def title(self) -> str:
        """What it is, in a few words."""

    @property
    def detail(self) -> str:
        """What follows from it, in a line."""

    @property
    def start(self) -> Callable[[], object]:
        """Starts it and returns once it answers. Raises ``HydraError``: what went wrong."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """One console on one box."""

    link: Link
    state: BoxState
    notebook: Notebook
    """What is kept from one opening to the next."""
    clock: Callable[[], float]
    """Seconds since the epoch."""
    start_ways: Sequence[StartWay]
    """Empty: the box is another machine's, or its daemon cannot be started from here."""
    address: str | None
    """The box's URL as the user gave it; None: over the UNIX socket."""
    link_changed: Signal[None]
    services_changed: Signal[ServicesUpdate]
    machine_changed: Signal[Machine]
    runtimes_changed: Signal[None]
    happened: Signal[Event]

    @property
    def url(self) -> str:
        """Where apps reach the endpoint, without a path."""
        status = self.state.status
        return self.address or (status.url if status is not None else "http://127.0.0.1:4937")


class _HasSession(Protocol):
    session: Session


def session_of(node: DOMNode) -> Session:
    """The session of the console that a screen or widget is part of."""
    return cast("_HasSession", node.app).session
