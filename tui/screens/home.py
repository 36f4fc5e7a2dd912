"""Home: this machine, every service, and what needs attention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import DataTable

from hydra_box.messages import ServiceView
from tui.screens import lifecycle
from tui.screens.attention import AttentionDialog
from tui.screens.base import BoxScreen
from tui.screens.delete import DeleteDialog
from tui.screens.deploy import DeployScreen
from tui.screens.service import ServiceScreen
from tui.screens.trial import TrialScreen
from tui.widgets.attention_line import AttentionLine
from tui.widgets.filter_bar import FilterBar
from tui.widgets.machine_strip import MachineStrip
from tui.widgets.service_pane import ServicePane
from tui.widgets.services_table import ServicesTable


class HomeScreen(BoxScreen):
    """The first screen."""

    TITLE_TEXT = "Services"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "deploy", "Deploy"),
        Binding("t", "trial", "Trial"),
        Binding("s", "scale", "Scale"),
        Binding("space", "start_or_stop", "Start/stop"),
        Binding("e", "edit", "Edit", show=False),
        Binding("x,delete", "delete", "Delete", key_display="x"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("exclamation_mark", "attention", "Why", show=False, key_display="!"),
    ]

    def content(self) -> Iterator[Widget]:
        """Strip, attention, table, pane."""
        yield MachineStrip(id="machine")
        yield AttentionLine(id="attention")
        yield FilterBar()
        with Vertical(id="below"):
            yield ServicesTable()
            yield ServicePane()

    def on_mount(self) -> None:
        """The keyboard is in the table."""
        self.query_one(ServicesTable).focus()

    def on_screen_resume(self) -> None:
        """What happened while another screen was on top."""
        self.query_one(ServicesTable).look()
        self.query_one(ServicePane).select(self.query_one(ServicesTable).current_key)

    @on(DataTable.RowHighlighted)
    def _row_highlighted(self) -> None:
        self.query_one(ServicePane).select(self.query_one(ServicesTable).current_key)

    @on(DataTable.RowSelected)
    def _row_selected(self) -> None:
        if view := self._current():
            self.app.push_screen(ServiceScreen(view.id))

    @on(FilterBar.Filtered)
    def _filtered(self, event: FilterBar.Filtered) -> None:
        self.query_one(ServicesTable).filter(event.words)
        self.query_one(ServicePane).select(self.query_one(ServicesTable).current_key)

    @on(FilterBar.Left)
    def _filter_left(self) -> None:
        self.query_one(ServicesTable).focus()

    def action_filter(self) -> None:
        """Open the filter."""
        self.query_one(FilterBar).open()

    def action_deploy(self) -> None:
        """Choose a model and deploy it."""
        self.app.push_screen(DeployScreen())

    def action_trial(self) -> None:
        """Talk to the selected service."""
        if view := self._current():
            self.app.push_screen(TrialScreen(view.id))

    def action_scale(self) -> None:
        """Change how many instances the selected service has."""
        if view := self._current():
            lifecycle.scale(self, view)

    def action_edit(self) -> None:
        """Change how the selected service runs."""
        if view := self._current():
            lifecycle.edit(self, view)

    def action_delete(self) -> None:
        """Delete the selected service, once its name is typed."""
        if view := self._current():
            self.app.push_screen(DeleteDialog(view))

    def action_start_or_stop(self) -> None:
        """Start what is stopped or has failed, wake what sleeps, stop what runs."""
        if view := self._current():
            self._start_or_stop(view)

    def action_attention(self) -> None:
        """Go to the cause of what needs attention."""
        lines = self.session.state.attention
        names = {line.service_name for line in lines}
        if len(lines) == 1 and (view := self.session.state.named(names.pop() or "")):
            self.app.push_screen(ServiceScreen(view.id))
        elif lines:
            self.app.push_screen(AttentionDialog())

    def _current(self) -> ServiceView | None:
        key = self.query_one(ServicesTable).current_key
        view = self.session.state.services.get(key or "")
        if view is None:
            none = "There is no service yet: d deploys one."
            hidden = "No service has the words of the filter: escape drops it."
            some = bool(self.session.state.services)
            self.notify(hidden if some else none, severity="warning")
        return view

    @work(group="start-or-stop")
    async def _start_or_stop(self, view: ServiceView) -> None:
        await lifecycle.start_or_stop(self, view)
