"""The conversations with one service, as they are kept from one opening to the next."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from hydra_box.types import Frozen
from tui.notebook import Notebook
from tui.trial.conversation import Conversation, Settings

MOST_CONVERSATIONS: Final = 50
MOST_BYTES: Final = 2 * 1024 * 1024


class Shelf(Frozen, frozen=True, kw_only=True):
    """Every conversation with one service."""

    conversations: tuple[Conversation, ...] = ()
    """The one that was last talked in first."""
    current: str = ""
    """Id of the one on the screen; empty: a new one."""
    draft: str = ""
    """What was typed and not sent."""
    settings: Settings = Settings()
    """Those of the conversation on the screen, also of a new one."""

    def open(self) -> Conversation | None:
        """The one on the screen; None: a new one."""
        return next((one for one in self.conversations if one.id == self.current), None)

    def put(self, conversation: Conversation) -> Shelf:
        """With the conversation as it is now; one without a question is not kept."""
        others = tuple(one for one in self.conversations if one.id != conversation.id)
        kept = limited((conversation, *others)) if conversation.turns else others
        current = conversation.id if conversation.turns else ""
        return replace(self, conversations=kept, current=current, settings=conversation.settings)

    def without(self, id: str) -> Shelf:
        """With that conversation forgotten."""
        kept = tuple(one for one in self.conversations if one.id != id)
        return replace(self, conversations=kept, current="" if self.current == id else self.current)


def limited(conversations: tuple[Conversation, ...]) -> tuple[Conversation, ...]:
    """As many as are kept: the first always, the others while there is room."""
    room = MOST_BYTES
    for at, one in enumerate(conversations[:MOST_CONVERSATIONS]):
        room -= len(msgspec.json.encode(one))
        if room < 0 and at:
            return conversations[:at]
    return conversations[:MOST_CONVERSATIONS]


class Keeper:
    """Reads and writes one service's shelf; may be called in any thread."""

    def __init__(self, notebook: Notebook, service_id: str) -> None:
        word = "".join(char if char.isalnum() or char in "-_" else "_" for char in service_id)
        self._notebook = notebook
        self._name = f"trial-{word}"
        self._lock = threading.Lock()
        self._given = 0
        self._written = 0

    def read(self) -> Shelf:
        """What was kept; nothing, if that cannot be read."""
        return self._notebook.read(self._name, Shelf, Shelf())

    def writer(self, shelf: Shelf) -> Callable[[], None]:
        """Writes the shelf when it is called, unless a newer one has been written.

        It raises ``OSError`` when there is no room, or it may not be written.
        """
        self._given += 1
        number = self._given

        def write() -> None:
            with self._lock:
                if number > self._written:
                    self._notebook.keep(self._name, shelf)
                    self._written = number

        return write
