"""What several screens do with a service: start, wake, stop, scale and edit it."""

from __future__ import annotations

from typing import Final

from textual.screen import Screen

from hydra_box.errors import HydraError
from hydra_box.messages import ServiceView
from hydra_box.types import ServiceStatus
from tui.screens.base import tell
from tui.screens.edit import EditScreen
from tui.screens.scale import ScaleScreen
from tui.session import session_of
from tui.widgets.service_words import has_instances

_READING_SECONDS: Final = 8.0


async def start_or_stop(screen: Screen[None], view: ServiceView) -> None:
    """Start what is stopped or has failed, wake what sleeps, stop what runs; nothing is lost."""
    link = session_of(screen).link
    starts = view.status in (ServiceStatus.STOPPED, ServiceStatus.FAILED)
    try:
        if starts or view.asleep:
            await link.call(lambda box: box.start(view.name))
        else:
            await link.call(lambda box: box.stop(view.name))
    except HydraError as error:
        tell(screen, error)
        return
    done = "starts" if starts else "stops; requests under way may finish. Space starts it again"
    if view.asleep:
        done = "wakes. Space again stops it"
    screen.notify(f"{view.name} {done}.", markup=False)


def scale(screen: Screen[None], view: ServiceView) -> None:
    """Open how many instances it has, if it may have any."""
    if _has_instances(screen, view, "to scale"):
        screen.app.push_screen(ScaleScreen(view.id))


def edit(screen: Screen[None], view: ServiceView) -> None:
    """Open how its instances run, if it may have any."""
    if _has_instances(screen, view, "to edit"):
        screen.app.push_screen(EditScreen(view.id))


def _has_instances(screen: Screen[None], view: ServiceView, to_what: str) -> bool:
    if has_instances(view):
        return True
    told = (
        f"{view.name} is served by upstreams alone, and has no instances {to_what}. "
        f"hydra-box upstreams list {view.name} shows what can be changed."
    )
    screen.notify(told, severity="warning", markup=False, timeout=_READING_SECONDS)
    return False
