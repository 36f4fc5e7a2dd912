"""One service: what it is, how to call it, how it is doing, what happened, what it prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Static, Tab, Tabs

from hydra_box.errors import HydraError
from hydra_box.messages import ServiceView
from hydra_box.types import Event
from tui.following import follow_log
from tui.samples import samples
from tui.screens import lifecycle
from tui.screens.base import BoxScreen
from tui.screens.delete import DeleteDialog
from tui.screens.trial import TrialScreen
from tui.seen import is_seen
from tui.widgets import service_facts
from tui.widgets.event_list import EventList
from tui.widgets.filter_bar import FilterBar
from tui.widgets.history_charts import HistoryCharts
from tui.widgets.log_view import LogView
from tui.widgets.page import Page

_TABS = {
    "overview": "Overview",
    "api": "Authentication and API calls",
    "charts": "Last hour",
    "events": "Events",
    "logs": "Logs",
}
HISTORY_SECONDS = 10.0
"""The box takes a sample so often."""


class ServiceScreen(BoxScreen):
    """Follows the service; when it is deleted, the screen says so and stays."""

    TITLE_TEXT = "Service"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "tab(-1)", "Last tab", show=False),
        Binding("right,l", "tab(1)", "Tabs", key_display="← →"),
        Binding("t", "trial", "Trial"),
        Binding("s", "scale", "Scale"),
        Binding("space", "start_or_stop", "Start/stop"),
        Binding("e", "edit", "Edit"),
        Binding("x,delete", "delete", "Delete", key_display="x"),
        Binding("y", "copy_name", "Copy name", show=False, tooltip="copy the access name"),
        *(
            Binding(one.key, f"copy('{one.key}')", f"Copy {one.title}", show=False)
            for one in samples("", "")
        ),
        Binding("slash", "search", "Search the log", show=False, key_display="/"),
        Binding("v", "level", "Level of the log", show=False),
        Binding("escape", "back", "Back"),
    ]

    def __init__(self, service_id: str) -> None:
        super().__init__()
        self._service_id = service_id

    @property
    def _view(self) -> ServiceView | None:
        return self.session.state.services.get(self._service_id)

    def content(self) -> Iterator[Widget]:
        """A tab for each question that one may have."""
        tabs = Tabs(*(Tab(title, id=id) for id, title in _TABS.items()))
        tabs.can_focus = False
        yield tabs
        with ContentSwitcher(initial="overview"):
            with Page(id="overview"):
                yield Static(id="condition")
                yield Static("Basic information", classes="title")
                yield Static(id="basic")
                yield Static(id="servers-title", classes="title")
                yield Static(id="servers")
            with Page(id="api"):
                yield Static("Authentication", classes="title")
                yield Static(service_facts.authentication())
                yield from self._samples()
            with Page(id="charts"):
                yield HistoryCharts()
            yield EventList(id="events")
            with Vertical(id="logs"):
                yield FilterBar("words that lines must have")
                yield LogView(id="log")

    def on_mount(self) -> None:
        """Follow the service, and read what is only read here."""
        self.session.services_changed.subscribe(self, lambda _: self._show())
        self.session.link_changed.subscribe(self, lambda _: self._read_again())
        self.session.happened.subscribe(self, self._happened)
        self.set_interval(HISTORY_SECONDS, self._read_history)
        self._show()
        self._read_again()
        self._follow_log()
        self.query_one("#overview").focus()

    def on_screen_resume(self) -> None:
        """What happened while another screen was on top."""
        self._show()

    @on(Tabs.TabActivated)
    def _tab_activated(self, event: Tabs.TabActivated) -> None:
        self._open(event.tab.id or "overview")

    @on(FilterBar.Filtered)
    def _searched(self, event: FilterBar.Filtered) -> None:
        self.query_one(LogView).search(event.words)

    @on(FilterBar.Left)
    def _search_left(self) -> None:
        self.query_one(LogView).focus()

    # --- keys ----------------------------------------------------------------------

    def action_tab(self, step: int) -> None:
        """The tab beside."""
        ids = list(_TABS)
        shown = self.query_one(ContentSwitcher).current or "overview"
        self._go(ids[(ids.index(shown) + step) % len(ids)])

    def action_trial(self) -> None:
        """Talk to it."""
        self.app.push_screen(TrialScreen(self._service_id))

    def action_scale(self) -> None:
        """Change how many instances it has."""
        if view := self._view:
            lifecycle.scale(self, view)

    def action_edit(self) -> None:
        """Change how it runs."""
        if view := self._view:
            lifecycle.edit(self, view)

    def action_delete(self) -> None:
        """Delete it, once its name is typed."""
        if view := self._view:
            self.app.push_screen(DeleteDialog(view))

    def action_start_or_stop(self) -> None:
        """Start what is stopped or has failed, wake what sleeps, stop what runs."""
        if view := self._view:
            self._start_or_stop(view)

    def action_copy_name(self) -> None:
        """The access name to the clipboard."""
        if view := self._view:
            self.app.copy_to_clipboard(view.access_name)
            self.notify(f"Copied {view.access_name}", markup=False)

    def action_copy(self, key: str) -> None:
        """A sample to the clipboard; over SSH to that of the terminal (OSC 52)."""
        if view := self._view:
            found = samples(self.session.url, view.access_name)
            sample = next(one for one in found if one.key == key)
            self.app.copy_to_clipboard(sample.text)
            self.notify(f"Copied the {sample.title} sample")

    def action_search(self) -> None:
        """Search the log."""
        self._go("logs")
        self.query_one(FilterBar).open()

    def action_level(self) -> None:
        """Show more or less of the log."""
        self._go("logs")
        self.notify(f"lines: {self.query_one(LogView).next_level().title}")

    def _go(self, id: str) -> None:
        self._open(id)
        self.query_one(Tabs).active = id

    def _open(self, id: str) -> None:
        """Show what belongs to a tab, with the keyboard in it."""
        switcher = self.query_one(ContentSwitcher)
        if switcher.current != id:
            switcher.current = id
            (self.query_one(LogView) if id == "logs" else self.query_one(f"#{id}")).focus()

    # --- what is shown ---------------------------------------------------------------

    def _samples(self) -> Iterator[Widget]:
        view = self._view
        name = view.access_name if view else ""
        for one in samples(self.session.url, name):
            heading = Content.assemble(
                (one.title, "bold $primary"), "   ", (one.key, "bold $accent"), " copies it"
            )
            yield Static(heading, classes="sample-title")
            yield Static(one.text.rstrip(), classes="sample", markup=False)

    def _show(self) -> None:
        if not is_seen(self):
            return
        view = self._view
        what = self.query_one("#condition", Static)
        if view is None:
            what.update(Content.styled("○ This service is gone: it was deleted.", "$text-warning"))
            what.display = True
            return
        told = service_facts.condition(view)
        what.display = told is not None
        what.update(told or "")
        self.query_one("#basic", Static).update(service_facts.basic_information(view, self.session))
        self.query_one("#servers-title", Static).update(service_facts.servers_title(view))
        self.query_one("#servers", Static).update(service_facts.servers(view, self.session))

    def _happened(self, event: Event) -> None:
        if event.id and event.service_id == self._service_id:
            self.query_one(EventList).add(event)

    def _read_again(self) -> None:
        if self.session.state.lost_at is None:
            self._read_events()
            self._read_history()

    @work(exclusive=True, group="events")
    async def _read_events(self) -> None:
        try:
            events = await self.session.link.call(
                lambda box: box.recent_events(service=self._service_id)
            )
        except HydraError:
            # The service is gone, or the box is: either is told in its own place.
            return
        self.query_one(EventList).show(events)

    @work(exclusive=True, group="history")
    async def _read_history(self) -> None:
        if self._view is None:
            return
        try:
            history = await self.session.link.call(
                lambda box: box.service_history(self._service_id)
            )
        except HydraError:
            return
        self.query_one(HistoryCharts).show(history)

    @work(exclusive=True, group="log")
    async def _follow_log(self) -> None:
        await follow_log(self.session.link, self.query_one(LogView), self._service_id, None)

    @work(group="start-or-stop")
    async def _start_or_stop(self, view: ServiceView) -> None:
        await lifecycle.start_or_stop(self, view)
