"""Installing an engine: which one, and the log of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.signal import Signal
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from hydra_box.types import EngineName
from tui.installation import Installation
from tui.screens.base import BoxScreen, Dialog
from tui.screens.engines_questions import stop_dialog
from tui.widgets.engines_pane import INSTALLS, installation_lines
from tui.widgets.filter_bar import FilterBar
from tui.widgets.log_view import LogView

_ENGINES: Final = tuple(INSTALLS)


class InstallDialog(Dialog):
    """The engines that can be installed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "step('down')", "Down", show=False),
        Binding("k", "step('up')", "Up", show=False),
    ]

    def __init__(self, chosen: Callable[[EngineName], None]) -> None:
        super().__init__()
        self._chosen = chosen

    def compose(self) -> ComposeResult:
        """One option an engine."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Install an engine"
            box.border_subtitle = "enter: install   escape: leave"
            yield Static(
                "For this machine's GPU, or for its CPU. It is used once it has answered on the "
                "demo model; what is installed already goes on serving.\n"
            )
            yield OptionList(*(Option(_text(one)) for one in _ENGINES))

    def action_step(self, way: str) -> None:
        """To the next engine, or the one before."""
        options = self.query_one(OptionList)
        if way == "down":
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss()
        self._chosen(_ENGINES[event.option_index])


class InstallScreen(BoxScreen):
    """The log of an installation, which can be left and come back to."""

    TITLE_TEXT = "Installation"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,l", "back", "Back", key_display="esc", tooltip="it goes on"),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("x", "stop", "Stop", tooltip="end the installation; nothing of it stays"),
    ]

    def __init__(
        self, installation: Installation, changed: Signal[None], stop: Callable[[], None]
    ) -> None:
        """Make it.

        Args:
            installation: what to show.
            changed: published when it has changed.
            stop: ends it.
        """
        super().__init__()
        self._installation = installation
        self._told = changed
        self._stop = stop
        self._lines_shown = 0

    def content(self) -> Iterator[Widget]:
        """How it goes, and its log."""
        yield Static(id="install-state")
        yield FilterBar()
        yield LogView(id="install-log")

    def on_mount(self) -> None:
        """What was printed so far, and then what comes."""
        self._told.subscribe(self, lambda _: self._draw())
        self.session.services_changed.subscribe(self, lambda _: self._draw_state())
        self.query_one(LogView).focus()
        # The log knows how wide it is only after it was laid out.
        self.call_after_refresh(self._draw)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what goes on can be stopped."""
        if action == "stop":
            return self._installation.goes_on
        return super().check_action(action, parameters)

    def action_search(self) -> None:
        """Show only lines with some words."""
        self.query_one(FilterBar).open()

    def action_stop(self) -> None:
        """End it, if that is meant."""
        self.app.push_screen(stop_dialog(self._installation, self._stop))

    @on(FilterBar.Filtered)
    def _filtered(self, event: FilterBar.Filtered) -> None:
        self.query_one(LogView).search(event.words)

    @on(FilterBar.Left)
    def _filter_left(self) -> None:
        self.query_one(LogView).focus()

    def _draw(self) -> None:
        one = self._installation
        missing = min(one.lines_in_all - self._lines_shown, len(one.lines))
        self._lines_shown = one.lines_in_all
        if missing:
            self.query_one(LogView).add(list(islice(one.lines, len(one.lines) - missing, None)))
        self._draw_state()
        self.refresh_bindings()

    def _draw_state(self) -> None:
        lines = installation_lines(self._installation)
        self.query_one("#install-state", Static).update(Content("\n").join(lines))


def _text(engine: EngineName) -> Content:
    return Content.assemble((f"{engine}", "bold"), f"\n  {INSTALLS[engine]}")
