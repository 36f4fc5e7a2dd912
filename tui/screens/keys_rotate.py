"""Rotating a key: a new secret, beside which the old one may open for a while."""

from __future__ import annotations

from typing import Final

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input

from hydra_box.errors import HydraError, InvalidRequest
from hydra_box.messages import KeyView
from hydra_box.shown.text import harmless
from tui.screens.base import Dialog
from tui.screens.keys_secret import SecretDialog
from tui.widgets.keys_field import KeyField, Note
from tui.widgets.keys_values import one_line, read_grace
from tui.widgets.keys_words import moment

_USUAL: Final = "24h"


class RotateDialog(Dialog):
    """Enter gives the key a new secret; escape leaves it as it is."""

    def __init__(self, key: KeyView) -> None:
        super().__init__()
        self._key = key
        self._sending = False

    def compose(self) -> ComposeResult:
        """What happens, and for how long the old secret still opens."""
        key = self._key
        with Vertical(classes="dialog", id="rotate") as box:
            box.border_title = Content(f"Rotate {harmless(key.name)}")
            box.border_subtitle = "enter: rotate   escape: keep it as it is"
            yield Note(id="what")
            yield KeyField("grace", "Old secret", _USUAL, placeholder="0: ends at once")
            yield Note(id="why")

    def on_mount(self) -> None:
        """The grace has the keyboard."""
        told = "The key gets a new secret, which is shown once. Name, limits and quota stay."
        self.query_one("#what", Note).say(told, wrong=False)
        self.query_one(Input).focus()
        self._tell()

    @on(Input.Changed)
    def _tell(self) -> None:
        field = self.query_one(KeyField)
        try:
            seconds = read_grace(field.input.value)
        except InvalidRequest as error:
            field.say(one_line(error), wrong=True)
            return
        until = moment(self.session.clock() + seconds)
        on = f"the old secret opens until {until}"
        field.say(on if seconds else "the old secret opens nothing any more, at once")

    @on(Input.Submitted)
    def _submitted(self) -> None:
        try:
            seconds = read_grace(self.query_one(Input).value)
        except InvalidRequest:
            # It is told beside the field already.
            return
        if not self._sending:
            self._sending = True
            self._rotate(seconds)

    async def action_dismiss(self, result: None = None) -> None:
        """Leave, unless the box is at it: the new secret comes with its answer."""
        if not self._sending:
            self.dismiss(result)

    @work(exclusive=True)
    async def _rotate(self, grace_seconds: float) -> None:
        key = self._key
        try:
            created = await self.session.link.call(
                lambda box: box.rotate_key(key.id, grace_seconds=grace_seconds)
            )
        except HydraError as error:
            self._sending = False
            self.query_one("#why", Note).say(str(error), wrong=True)
            return
        # The command palette may be open above; it must not swallow the secret.
        show = self.app.switch_screen if self.is_current else self.app.push_screen
        show(SecretDialog(created, done="has a new secret"))
