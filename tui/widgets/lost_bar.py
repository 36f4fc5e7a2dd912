"""The line that is there only while the box does not answer."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from hydra_box.errors import DaemonUnreachable
from tui.session import session_of


class LostBar(Static):
    """Says that the daemon is lost, why, and what one can do; everything typed stays."""

    def on_mount(self) -> None:
        """Follow the connection."""
        session_of(self).link_changed.subscribe(self, lambda _: self._show())
        self._show()

    def _show(self) -> None:
        session = session_of(self)
        because = session.state.lost_because
        self.display = because is not None
        if because is None:
            return
        if not isinstance(because, DaemonUnreachable):
            self.update(Content(f"✗ {because}"))
            return
        hint = "ctrl+s starts one." if session.start_ways else "Tried again every second."
        was = "; this is how it was" if session.state.ever_connected else ""
        self.update(Content(f"✗ The daemon does not answer{was}. {hint}"))
