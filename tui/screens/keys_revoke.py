"""Revoking a key: asked once, because it cannot be undone."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from hydra_box.errors import HydraError
from hydra_box.messages import KeyView
from hydra_box.shown.text import harmless
from tui.screens.base import Dialog
from tui.words import ago


class RevokeDialog(Dialog):
    """Enter alone keeps the key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "revoke", "Revoke"),
        Binding("escape,n", "dismiss", "Keep it"),
    ]

    def __init__(self, key: KeyView) -> None:
        super().__init__()
        self._key = key

    def compose(self) -> ComposeResult:
        """What happens, and the choice."""
        key = self._key
        used = ago(key.last_used_at, self.session.clock())
        with Vertical(classes="dialog") as box:
            box.border_title = Content(f"Revoke {harmless(key.name)}")
            box.border_subtitle = "y: revoke   escape: keep it"
            yield Static(
                Content.assemble(
                    ("! Apps that use it stop working at once", "bold $text-warning"),
                    f", and it cannot be made valid again.\n\n{key.masked}, last used: {used}",
                )
            )
            yield Static(id="why")
            with Horizontal(classes="buttons"):
                yield Button("Revoke", id="revoke", variant="error", compact=True)
                yield Button("Keep it", id="keep", compact=True)

    def on_mount(self) -> None:
        """The harmless choice has the keyboard."""
        self.query_one("#keep", Button).focus()

    @on(Button.Pressed, "#keep")
    def _kept(self) -> None:
        self.dismiss()

    @on(Button.Pressed, "#revoke")
    def action_revoke(self) -> None:
        """Revoke it now."""
        self._revoke()

    @work(exclusive=True)
    async def _revoke(self) -> None:
        key = self._key
        try:
            await self.session.link.call(lambda box: box.revoke_key(key.id))
        except HydraError as error:
            self.query_one("#why", Static).update(Content.styled(str(error), "$text-error"))
            return
        self.notify(f"The key {key.name} is revoked.", markup=False)
        self.dismiss()
