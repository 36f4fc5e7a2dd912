from __future__ import annotations

from pathlib import Path

from hydra_box.client import Client
from hydra_box.messages import ServicesUpdate
from hydra_box.types import Event, Machine
from tests.tui import still_life
from tui.feed import Feed
from tui.link import Link
from tui.state import BoxState


class Nobody:
    """Listens to nothing."""

    def tell_link(self) -> None: ...

    def tell_services(self, update: ServicesUpdate) -> None: ...

    def tell_machine(self, machine: Machine) -> None: ...

    def tell_event(self, event: Event) -> None: ...

    def tell_runtimes(self) -> None: ...


def test_a_sparkline_has_a_point_a_second_whatever_the_clock_does() -> None:
    state = BoxState()
    link = Link(lambda: Client(socket=Path("/nobody/listens/here")))
    feed = Feed(link, state, Nobody())
    state.connected(still_life.status())
    for at in (100.0, 100.1, 100.5, 101.0, 101.2, 40.0, 40.3, 41.0):
        feed._take_services(ServicesUpdate(at=at, changed=()))
    assert len(state.speeds["svc-chat"]) == 4
    link.close()
