"""What the box has and fetches, as it was read last, and kept up by what happens."""

from __future__ import annotations

from typing import Final

import msgspec

from hydra_box.messages import DownloadView, StoredModelView
from hydra_box.types import Event
from tui.link import Link

_TELLING: Final = ("model.", "download.", "service.", "instance.ready")
_PROGRESS: Final = "download.progress"


class Lists:
    """The library and the downloads of one box."""

    def __init__(self) -> None:
        self.models: dict[str, StoredModelView] = {}
        self.downloads: dict[str, DownloadView] = {}
        self.was_read = False
        self._reading = self._again = False

    async def read(self, link: Link) -> bool:
        """Read both; False: they are being read, and will be once more.

        Raises:
            HydraError: as the client has it.
        """
        self._again = True
        if self._reading:
            return False
        self._reading = True
        try:
            while self._again:
                self._again = False
                models = await link.call(lambda box: box.library())
                downloads = await link.call(lambda box: box.downloads())
                self.models = {one.id: one for one in models}
                self.downloads = {one.id: one for one in downloads}
                self.was_read = True
        finally:
            self._reading = False
        return True

    def took(self, event: Event) -> bool:
        """Whether the event was the progress of a download, which is known now."""
        known = self.downloads.get(event.download_id or "")
        if event.kind != _PROGRESS or known is None or event.transfer is None:
            return False
        self.downloads[known.id] = msgspec.structs.replace(known, transfer=event.transfer)
        return True


def means_change(event: Event) -> bool:
    """Whether the lists must be read again after an event."""
    return event.kind.startswith(_TELLING)
