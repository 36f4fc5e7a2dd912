"""What the box is asked to do with a model or a download, and what is said of it."""

from __future__ import annotations

from textual.screen import Screen

from hydra_box.errors import HydraError
from hydra_box.messages import DownloadView, StoredModelView
from tui.screens.base import tell
from tui.session import session_of
from tui.widgets.models_downloads import UNDER_WAY


async def pause_or_resume(screen: Screen[None], row: DownloadView) -> DownloadView | None:
    """Pause what is fetched, go on with what is paused or has failed; None: it was refused."""
    link, pauses = session_of(screen).link, row.state in UNDER_WAY
    try:
        if pauses:
            return await link.call(lambda box: box.pause_download(row.id))
        return await link.call(lambda box: box.resume_download(row.id))
    except HydraError as error:
        tell(screen, error)
        return None


async def verify(screen: Screen[None], row: StoredModelView) -> None:
    """Compare every file of a model with its checksum: as long as the disk takes."""
    try:
        view = await session_of(screen).link.call(lambda box: box.verify_model(row.id))
    except HydraError as error:
        tell(screen, error)
        return
    if view.problem:
        told = f"{view.name} is damaged: {view.problem}"
        screen.notify(told, severity="error", timeout=10, markup=False)
    else:
        screen.notify(f"{view.name} is whole: every file is right.", markup=False)


async def forget(screen: Screen[None], row: StoredModelView) -> None:
    """Take a model out of the library whose files belong to others, and stay."""
    try:
        await session_of(screen).link.call(lambda box: box.remove_model(row.id))
    except HydraError as error:
        tell(screen, error)
        return
    told = f"{row.name} is not in the library any more; its files stay: {row.path}"
    screen.notify(told, markup=False)
