"""A key that was just made or rotated: the one time that its secret is shown."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from hydra_box.messages import CreatedKey
from hydra_box.shown.text import harmless
from hydra_box.types import Scope
from tui.screens.base import Dialog


class SecretDialog(Dialog):
    """Escape closes it, and no other key does: one Enter too many must not lose the secret."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy", "Copy the key"),
        Binding("escape", "dismiss", "Close"),
    ]

    def __init__(self, created: CreatedKey, *, done: str = "is made") -> None:
        super().__init__()
        self._created = created
        self._done = done

    def compose(self) -> ComposeResult:
        """The secret on a line of its own, so that a mouse can take it too."""
        created = self._created
        with Vertical(classes="dialog", id="secret-dialog") as box:
            box.border_title = Content(f"The key {harmless(created.name)} {self._done}")
            box.border_subtitle = "c: copy   escape: close"
            yield Static(Content.styled(created.key, "bold $text-success"), id="secret")
            yield Static(Content.styled("! It is not shown again: copy it now.", "$text-warning"))
            yield Static(Content("\n").join(_uses(created, self.session.url)), id="uses")
            yield Static(
                "c asks the terminal to copy. If nothing can be pasted, yours does not take part: "
                "select the key with shift and the mouse.",
                id="copied",
                classes="muted",
            )
            with Horizontal(classes="buttons"):
                yield Button("Copy", id="copy", variant="primary", compact=True)
                yield Button("Close", id="close", compact=True)

    def on_mount(self) -> None:
        """Enter copies."""
        self.query_one("#copy", Button).focus()

    @on(Button.Pressed, "#copy")
    def action_copy(self) -> None:
        """The secret to the clipboard."""
        self.app.copy_to_clipboard(self._created.key)
        self.notify(f"The key {self._created.name} was copied.", markup=False)
        done = Content.styled("✓ copied; escape closes this", "$text-success")
        self.query_one("#copied", Static).update(done)

    @on(Button.Pressed, "#close")
    def _close(self) -> None:
        self.dismiss()


def _uses(created: CreatedKey, url: str) -> list[Content]:
    """How apps use it: an address and a header."""
    infers = Scope.INFERENCE in created.scopes
    lines = [Content("")]
    if infers:
        lines.append(_pair("base URL", f"{url}/v1"))
    if Scope.ADMIN in created.scopes:
        lines.append(_pair("management", f"{url}/api/v1"))
    lines.append(_pair("header", "Authorization: Bearer <the key>"))
    if infers:
        lines.append(Content("OpenAI clients take address and key as base_url and api_key.\n"))
    else:
        lines.append(Content("It manages this box, and calls no model.\n"))
    return lines


def _pair(title: str, value: str) -> Content:
    return Content.assemble((f"{title:<11}", "$text-muted"), (value, "bold"))
