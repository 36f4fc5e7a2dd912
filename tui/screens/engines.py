"""Engines: every runtime of the box, whether it works, and who uses it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.signal import Signal
from textual.widget import Widget
from textual.widgets import DataTable, Static

from hydra_box.errors import DowntimeNeeded, HydraError
from hydra_box.shown.numbers import count
from hydra_box.types import EngineName, Runtime, RuntimeSource
from tui.installation import Installation
from tui.screens.base import BoxScreen
from tui.screens.engines_install import InstallDialog, InstallScreen
from tui.screens.engines_questions import pin_dialog, remove_dialog
from tui.screens.models_details import DetailsDialog
from tui.seen import is_seen
from tui.widgets.engines_pane import SOURCES, installation_line, runtime_lines
from tui.widgets.engines_table import NEXT, RuntimesTable, next_ones
from tui.widgets.filter_bar import FilterBar


class EnginesScreen(BoxScreen):
    """The runtimes, and the installation that was started from here."""

    TITLE_TEXT = "Engines"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "install", "Install", tooltip="build or fetch an engine for this machine"),
        Binding("v", "verify", "Verify", tooltip="have it answer on the demo model"),
        Binding("p", "pin", "Pin/unpin", tooltip="use this runtime of its engine and no other"),
        Binding("x,delete", "remove", "Remove", key_display="x"),
        Binding("l", "log", "Log", tooltip="of the installation"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("y", "copy", "Copy the id", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._verifying: set[str] = set()
        self._words = ""
        self._installation: Installation | None = None
        self._installing = Signal[None](self, "installation")

    def content(self) -> Iterator[Widget]:
        """Installation, table, pane."""
        yield Static(id="engines-title", classes="title")
        yield Static(id="install-line")
        yield FilterBar()
        with Vertical(id="runtimes-box"):
            yield RuntimesTable()
            yield Static(id="runtime-pane", classes="pane")

    def on_mount(self) -> None:
        """Follow what happens; the keyboard is in the table."""
        session = self.session
        session.link_changed.subscribe(self, lambda _: self._draw())
        session.runtimes_changed.subscribe(self, lambda _: self._draw())
        session.services_changed.subscribe(self, lambda _: self._tick())
        self._installing.subscribe(self, lambda _: self._draw_installation())
        self.query_one(RuntimesTable).focus()
        self._draw()
        self._draw_installation()

    def on_screen_resume(self) -> None:
        """What happened while another screen was on top."""
        self._draw()

    # --- what the box has ---------------------------------------------------------

    @property
    def _runtimes(self) -> dict[str, Runtime]:
        return {one.id: one for one in self.session.state.runtimes}

    @property
    def _was_read(self) -> bool:
        return self.session.state.ever_connected

    def _tick(self) -> None:
        self._draw()
        if is_seen(self):
            self._draw_installation()

    def _draw(self) -> None:
        if not is_seen(self):
            return
        title = f"{count(len(self._runtimes), 'runtime')}   {NEXT} the next instances run on it"
        self.query_one("#engines-title", Static).update(title if self._was_read else "Runtimes")
        self.query_one(RuntimesTable).show_runtimes(
            self._runtimes.values(),
            verifying=self._verifying,
            used={id: self._services_on(id) for id in self._runtimes},
            words=self._words,
            now=self.session.clock(),
        )
        self._draw_pane()

    def _draw_pane(self) -> None:
        pane = self.query_one("#runtime-pane", Static)
        if row := self._selected():
            pane.update(Content("\n").join(self._lines(row)))
        elif self._was_read and not self._runtimes:
            pane.update("No engine is on this machine: i installs one.")
        elif self._was_read:
            pane.update("No row has these words: / and escape drop the filter.")
        else:
            pane.update("the runtimes are shown once the daemon answers")

    def _draw_installation(self) -> None:
        line = self.query_one("#install-line", Static)
        line.display = self._installation is not None
        if self._installation is not None:
            line.update(installation_line(self._installation))

    def _lines(self, row: Runtime) -> Iterator[Content]:
        return runtime_lines(
            row,
            follows=row.id in next_ones(self._runtimes.values()),
            services=self._services_on(row.id),
            now=self.session.clock(),
        )

    def _services_on(self, runtime_id: str) -> list[str]:
        """Names of the services that have an instance on a runtime."""
        return [
            view.name
            for view in self.session.state.by_name()
            if any(one.runtime == runtime_id for one in view.instances)
        ]

    # --- what keys do ----------------------------------------------------------------

    @on(DataTable.RowHighlighted)
    def _row_highlighted(self) -> None:
        self._draw_pane()

    @on(DataTable.RowSelected)
    def _row_selected(self) -> None:
        if row := self._selected():
            lines = list(self._lines(row))
            self.app.push_screen(DetailsDialog("Runtime", lines, copied=("id", row.id)))

    @on(FilterBar.Filtered)
    def _filtered(self, event: FilterBar.Filtered) -> None:
        self._words = event.words
        self._draw()

    @on(FilterBar.Left)
    def _filter_left(self) -> None:
        self.query_one(RuntimesTable).focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A log is only there once something was installed from here."""
        if action == "log":
            return self._installation is not None
        return super().check_action(action, parameters)

    def action_filter(self) -> None:
        """Open the filter."""
        self.query_one(FilterBar).open()

    def action_copy(self) -> None:
        """Copy the id, which the command line takes."""
        if row := self._selected():
            self.app.copy_to_clipboard(row.id)
            self.notify(f"The id is copied: {row.id}", markup=False)

    def action_install(self) -> None:
        """Choose an engine; one after another."""
        if self._installation is not None and self._installation.goes_on:
            engine = self._installation.engine
            self.notify(f"{engine} is being installed; the next one after that.", markup=False)
            self.action_log()
        else:
            self.app.push_screen(InstallDialog(self._install))

    def action_log(self) -> None:
        """The log of the installation."""
        if self._installation is not None:
            self.app.push_screen(
                InstallScreen(self._installation, self._installing, self._stop_installing)
            )

    def action_verify(self) -> None:
        """Have the selected runtime answer."""
        if (row := self._selected()) and row.id not in self._verifying:
            self._verify(row)

    def action_pin(self) -> None:
        """Pin the selected runtime, or unpin it."""
        if row := self._selected():
            self._pin(row)

    def action_remove(self) -> None:
        """Remove the selected runtime, if it was installed here."""
        if (row := self._selected()) is None:
            return
        if row.source is not RuntimeSource.BUILT:
            told = f"{row.id} is {SOURCES[row.source]} and is not removed from here."
            self.notify(told, severity="warning", markup=False)
        elif row.pinned:
            self.notify(f"{row.id} is pinned: p unpins it.", severity="warning", markup=False)
        else:
            self.app.push_screen(remove_dialog(row, self._services_on(row.id)))

    def _selected(self) -> Runtime | None:
        return self._runtimes.get(self.query_one(RuntimesTable).current_key or "")

    # --- what takes long --------------------------------------------------------------

    @work(group="verify")
    async def _verify(self, row: Runtime) -> None:
        self._verifying.add(row.id)
        self._draw()
        try:
            found = await self.session.link.call(lambda box: box.verify_engine(row.id))
        except HydraError as error:
            self.tell(error)
        else:
            if found.problem:
                told = f"{found.id} cannot be used: {found.problem}"
                self.notify(told, severity="error", timeout=10, markup=False)
            else:
                self.notify(f"{found.id} works: it has answered.", markup=False)
        finally:
            self._verifying.discard(row.id)
        self._draw()

    @work(group="pin")
    async def _pin(self, row: Runtime) -> None:
        try:
            if row.pinned:
                await self.session.link.call(lambda box: box.unpin_engine(row.id))
            else:
                await self.session.link.call(lambda box: box.pin_engine(row.id))
        except DowntimeNeeded as error:
            self.app.push_screen(pin_dialog(row, error.message))
        except HydraError as error:
            self.tell(error)

    def _install(self, engine: EngineName) -> None:
        self._installation = Installation(
            engine.value,
            clock=self.session.clock,
            changed=lambda: self._installing.publish(None),
        )
        self._follow(self._installation)
        self.refresh_bindings()
        self.action_log()

    @work(group="install")
    async def _follow(self, installation: Installation) -> None:
        await installation.run(self.session.link)
        if installation.runtime is not None:
            self.notify(f"{installation.runtime.id} is installed and verified.", markup=False)
        elif installation.error is not None:
            self.tell(installation.error)

    def _stop_installing(self) -> None:
        self.workers.cancel_group(self, "install")
