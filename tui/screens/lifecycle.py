"""Starting and stopping a service, as several screens do it."""

from __future__ import annotations

from textual.screen import Screen

from hydra_box.errors import HydraError
from hydra_box.messages import ServiceView
from hydra_box.types import ServiceStatus
from tui.screens.base import tell
from tui.session import session_of


async def start_or_stop(screen: Screen[None], view: ServiceView) -> None:
    """Start what is stopped or has failed, stop what runs; its keys, name and model stay."""
    link = session_of(screen).link
    starts = view.status in (ServiceStatus.STOPPED, ServiceStatus.FAILED)
    try:
        if starts:
            await link.call(lambda box: box.start(view.name))
        else:
            await link.call(lambda box: box.stop(view.name))
    except HydraError as error:
        tell(screen, error)
        return
    done = "starts" if starts else "stops; requests under way may finish. Space starts it again"
    screen.notify(f"{view.name} {done}.", markup=False)
