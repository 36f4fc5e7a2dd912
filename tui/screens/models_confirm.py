"""One question before something is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from hydra_box.errors import HydraError
from hydra_box.shown.text import harmless
from tui.link import Link
from tui.screens.base import Dialog

Act = Callable[[Link], Awaitable[str]]
"""Does what was asked, and returns what to say of it. Raises ``HydraError``: why it is not done."""


class ConfirmDialog(Dialog):
    """Says what is lost and what stays; ``y`` does it, escape leaves everything as it is.

    The key is another one than that which opened it, so that a key held too long does nothing.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "do", "Yes", show=False),
        Binding("n", "dismiss", "No", show=False),
    ]

    def __init__(self, title: str, text: str, *, verb: str, do: Act) -> None:
        """Make it.

        Args:
            title: of the box.
            text: what is lost, and what stays.
            verb: what ``y`` does.
            do: does it.
        """
        super().__init__()
        self._title = title
        self._text = text
        self._verb = verb
        self._do = do

    def compose(self) -> ComposeResult:
        """The question, and what went wrong."""
        with Vertical(classes="dialog") as box:
            box.border_title = Content(harmless(self._title))
            box.border_subtitle = f"y: {self._verb}   escape: leave it"
            yield Static(Content(harmless(self._text)))
            yield Static(id="why")

    def action_do(self) -> None:
        """Yes."""
        self._ask()

    @work(exclusive=True)
    async def _ask(self) -> None:
        why = self.query_one("#why", Static)
        why.update("asking the box ...")
        try:
            told = await self._do(self.session.link)
        except HydraError as error:
            why.update(Content.styled(str(error), "$text-error"))
            return
        self.notify(told, markup=False)
        self.dismiss()
