"""One line that is there only when something needs a person."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from tui.session import session_of


class AttentionLine(Static):
    """How many things need attention, and the first of them."""

    def on_mount(self) -> None:
        """Follow what needs attention."""
        session = session_of(self)
        session.services_changed.subscribe(self, lambda _: self._show())
        session.link_changed.subscribe(self, lambda _: self._show())
        self._show()

    def on_click(self) -> None:
        """The mouse's way to the cause."""
        self.app.call_later(self.screen.run_action, "attention")

    def _show(self) -> None:
        lines = session_of(self).state.attention
        self.display = bool(lines)
        if not lines:
            return
        number = "1 needs" if len(lines) == 1 else f"{len(lines)} need"
        self.update(
            Content.assemble(
                (f"! {number} attention ", "$text-warning"),
                ("(press !)", "bold"),
                f" {lines[0].message.splitlines()[0]}",
            )
        )
