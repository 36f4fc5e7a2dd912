"""What every full screen has: the bar at the top, the keys at the bottom, and the session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Footer

from hydra_box.errors import HydraError
from tui.session import Session, session_of
from tui.widgets.filter_bar import FilterBar
from tui.widgets.lost_bar import LostBar
from tui.widgets.top_bar import TopBar


class BoxScreen(Screen[None]):
    """A full screen; a subclass yields what is between bar and footer in ``content``."""

    TITLE_TEXT: ClassVar[str] = ""
    """What the screen is about, in the help."""
    KEEPS_DIGITS: ClassVar[bool] = False
    """It has fields for numbers: a digit that misses one must not lead to another section."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", show=False),
    ]

    @property
    def session(self) -> Session:
        """The console's session."""
        return session_of(self)

    def compose(self) -> ComposeResult:
        """Bar, content, footer."""
        yield TopBar()
        yield LostBar()
        yield from self.content()
        yield Footer(compact=True, show_command_palette=False)

    def content(self) -> Iterator[Widget]:
        """The screen's own widgets."""
        raise NotImplementedError

    def action_back(self) -> None:
        """Drop the filter if there is one, else to the screen below."""
        for bar in self.query(FilterBar):
            if bar.value:
                bar.action_drop()
                return
        if len(self.app.screen_stack) > 1:
            self.app.pop_screen()

    def tell(self, error: HydraError) -> None:
        """Show an error that belongs to no field."""
        tell(self, error)


class Dialog(ModalScreen[None]):
    """A box over the screen, for one question; escape leaves everything as it is."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel")]

    @property
    def session(self) -> Session:
        """The console's session."""
        return session_of(self)

    def tell(self, error: HydraError) -> None:
        """Show an error that belongs to no field."""
        tell(self, error)


def tell(node: Widget, error: HydraError) -> None:
    """An error as a notification: its fact, then its hint."""
    node.notify(str(error), severity="error", timeout=10, markup=False)
