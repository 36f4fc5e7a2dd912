"""The line at the top of every screen: where one can go, and which box this is."""

from __future__ import annotations

from typing import Final

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from hydra_box.shown.numbers import duration
from tui.session import session_of

SECTIONS: Final = {
    "services": "Services",
    "models": "Models",
    "keys": "Keys",
    "usage": "Usage",
    "engines": "Engines",
    "logs": "Logs",
}
"""Mode to its title; in the order of the keys 1 to 6."""

_ROOMY: Final = 90
_NARROWEST: Final = 76
"""With less room only the present section has its name."""


class TopBar(Horizontal):
    """The program's name, the sections with their keys, and the connection."""

    def compose(self) -> ComposeResult:
        """Name, sections, connection."""
        yield Static(" Hydra Box ", id="program")
        yield Static(id="sections")
        yield Where()

    def on_resize(self) -> None:
        """The section of this screen is marked, for those who see no colour too."""
        current = self.app.current_mode
        self.query_one(Where).look()
        room = self.size.width >= _NARROWEST
        parts = [
            Content.from_markup(
                f"[@click=app.switch_mode('{mode}')]"
                f"{'[b u]' if mode == current else ''}"
                f"{number}{f' {title}' if mode == current or room else ''}"
                f"{'[/]' if mode == current else ''}[/]"
            )
            for number, (mode, title) in enumerate(SECTIONS.items(), 1)
        ]
        space = " " if self.size.width < _ROOMY else "  "
        self.query_one("#sections", Static).update(Content(space).join(parts))


class Where(Static):
    """Which box, and whether it answers."""

    lost_seconds: reactive[int | None] = reactive(None)

    def on_mount(self) -> None:
        """Follow the connection, and count the seconds while it is lost."""
        session_of(self).link_changed.subscribe(self, lambda _: self.look())
        self.set_interval(1.0, self.look)
        self.look()

    def look(self) -> None:
        """Show it as it is now."""
        session = session_of(self)
        lost_at = session.state.lost_at
        if lost_at is None:
            self.lost_seconds = None
        else:
            self.lost_seconds = int(session.clock() - lost_at)
        self._show()

    def watch_lost_seconds(self) -> None:
        """Another second has gone."""
        self._show()

    def _show(self) -> None:
        state = session_of(self).state
        place = session_of(self).url.partition("//")[2]
        if self.app.size.width < _ROOMY:
            place = place.removeprefix("127.0.0.1")
        if not state.ever_connected:
            self.update("◌ not connected " if state.lost_because else "◌ connecting ")
        elif self.lost_seconds is not None and state.lost_at is not None:
            self.update(f"✗ lost {duration(self.lost_seconds)} ")
        else:
            self.update(f"● {place} ")
        self.set_class(state.lost_at is not None, "lost")
