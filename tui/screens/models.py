"""Models: what is on the box's disks, and what is on its way there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import DescendantFocus
from textual.widget import Widget
from textual.widgets import DataTable, Static

from hydra_box.errors import DaemonUnreachable, HydraError
from hydra_box.messages import DownloadView, StoredModelView
from hydra_box.shown.numbers import count, size
from hydra_box.types import DownloadState, Event, StoredAs
from tui.screens.base import BoxScreen
from tui.screens.deploy import DeployScreen
from tui.screens.models_acts import forget, pause_or_resume, verify
from tui.screens.models_details import DetailsDialog
from tui.screens.models_import import ImportDialog
from tui.screens.models_lists import Lists, means_change
from tui.screens.models_pull import PullDialog
from tui.screens.models_questions import cancel_dialog, remove_dialog
from tui.seen import is_seen
from tui.widgets.filter_bar import FilterBar
from tui.widgets.live_table import LiveTable
from tui.widgets.models_downloads import DownloadsTable, summary
from tui.widgets.models_pane import download_lines, model_lines, nothing_lines
from tui.widgets.models_table import LibraryTable

_TALL: Final = 30
"""Lines of a screen whose pane has room for more files."""


class ModelsScreen(BoxScreen):
    """The library, the downloads, and all that is known of the selected one."""

    TITLE_TEXT = "Models"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pull", "Pull", tooltip="fetch a model from the hub"),
        Binding("i", "import", "Import", tooltip="take in a model that is on the box's machine"),
        Binding("d", "deploy", "Deploy", tooltip="deploy the selected model"),
        Binding("space", "pause_or_resume", "Pause/resume"),
        Binding("v", "verify", "Verify", tooltip="compare every file with its checksum"),
        Binding("x,delete", "cancel", "Cancel", key_display="x", tooltip="give the download up"),
        Binding("x,delete", "remove", "Remove", key_display="x", tooltip="delete the files"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("y", "copy", "Copy the path", show=False),
        Binding("r", "look", "Read the lists again", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._lists = Lists()
        self._verifying: set[str] = set()
        self._words = ""
        self._in_downloads = False
        """Which of the two tables the selected row is in."""

    def content(self) -> Iterator[Widget]:
        """Two tables and a pane."""
        yield FilterBar()
        with Vertical(id="models"):
            with Vertical(id="lists"):
                yield Static(id="library-title", classes="title")
                yield LibraryTable()
                yield Static(id="downloads-title", classes="title")
                yield DownloadsTable()
            yield Static(id="model-pane", classes="pane")

    def on_mount(self) -> None:
        """Follow what happens; the keyboard is in the library."""
        session = self.session
        session.happened.subscribe(self, self._happened)
        session.link_changed.subscribe(self, lambda _: self.look())
        session.services_changed.subscribe(self, lambda _: self._draw())
        self.query_one(LibraryTable).focus()
        self._draw()

    def on_screen_resume(self) -> None:
        """What happened while another screen was on top."""
        self.look()

    # --- what the box has ---------------------------------------------------------

    def look(self) -> None:
        """Read both lists, if there is somebody to read them from."""
        if self.session.state.lost_at is None and self.session.state.ever_connected:
            self._read()

    def _happened(self, event: Event) -> None:
        if self._lists.took(event):
            self._draw()
        elif means_change(event) and is_seen(self):
            self.look()

    @work(group="read")
    async def _read(self) -> None:
        try:
            if await self._lists.read(self.session.link):
                self._draw()
        except DaemonUnreachable:
            # The line at the top tells of it, and what was read before stays.
            return
        except HydraError as error:
            self.tell(error)

    def _draw(self) -> None:
        if not is_seen(self):
            return
        now = self.session.clock()
        library, downloads = self.query_one(LibraryTable), self.query_one(DownloadsTable)
        library.show_models(self._lists.models.values(), self._verifying, self._words, now)
        downloads.show_downloads(self._lists.downloads.values(), self._words)
        self._draw_titles()
        self._draw_pane()

    def _draw_titles(self) -> None:
        has_downloads = bool(self._lists.downloads)
        total = sum(one.size_bytes for one in self._lists.models.values())
        library = f"Library: {count(len(self._lists.models), 'model')}, {size(total)}"
        self.query_one("#library-title", Static).update(
            library if self._lists.was_read else "Library"
        )
        title = self.query_one("#downloads-title", Static)
        title.update(f"Downloads: {summary(self._lists.downloads.values())}")
        title.display = self.query_one(DownloadsTable).display = has_downloads
        if not has_downloads and self._in_downloads:
            self.query_one(LibraryTable).focus()
        elif has_downloads and not self._lists.models and not self._in_downloads:
            self.query_one(DownloadsTable).focus()

    def _draw_pane(self) -> None:
        now, files = self.session.clock(), 8 if self.app.size.height >= _TALL else 2
        row = self._selected()
        if isinstance(row, DownloadView):
            lines = download_lines(row, now, most_files=files)
        elif row is not None:
            width = self.query_one("#model-pane").content_size.width
            lines = model_lines(row, now, most_files=files, width=width)
        else:
            others = bool(self._lists.models or self._lists.downloads)
            lines = nothing_lines(was_read=self._lists.was_read, others=others)
        self.query_one("#model-pane", Static).update(Content("\n").join(lines))

    # --- which one -------------------------------------------------------------------

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """The table that has the keyboard has the selected row."""
        if isinstance(event.widget, LiveTable):
            self._in_downloads = isinstance(event.widget, DownloadsTable)
            self._draw_pane()
            self.refresh_bindings()

    @on(DataTable.RowHighlighted)
    def _row_highlighted(self) -> None:
        self._draw_pane()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that mean something for the selected row alone."""
        if action in ("pause_or_resume", "cancel"):
            return self._in_downloads
        if action in ("verify", "remove"):
            return not self._in_downloads
        return super().check_action(action, parameters)

    def _selected(self) -> StoredModelView | DownloadView | None:
        if self._in_downloads:
            return self._lists.downloads.get(self.query_one(DownloadsTable).current_key or "")
        return self._lists.models.get(self.query_one(LibraryTable).current_key or "")

    def _model(self) -> StoredModelView | None:
        row = self._selected()
        if row is None:
            self._say("There is no model yet: p pulls one, i imports one.")
        return row if isinstance(row, StoredModelView) else None

    def _download(self) -> DownloadView | None:
        row = self._selected()
        return row if isinstance(row, DownloadView) else None

    def _say(self, text: str) -> None:
        self.notify(text, severity="warning", markup=False)

    # --- what keys do ----------------------------------------------------------------

    def action_look(self) -> None:
        """Read the lists now."""
        self.look()

    def action_pull(self) -> None:
        """Choose a model to fetch."""
        self.app.push_screen(PullDialog(self.look))

    def action_import(self) -> None:
        """Choose files to take in."""
        self.app.push_screen(ImportDialog(self.look))

    def action_deploy(self) -> None:
        """Deploy the selected model; without one, choose there."""
        row = self._selected()
        name = row.model if isinstance(row, DownloadView) else row and row.name
        self.app.push_screen(DeployScreen(name) if name else DeployScreen())

    def action_copy(self) -> None:
        """Copy where the selected model lies."""
        if isinstance(row := self._selected(), StoredModelView):
            self.app.copy_to_clipboard(row.path)
            self.notify(f"The path is copied: {row.path}", markup=False)

    def action_filter(self) -> None:
        """Open the filter."""
        self.query_one(FilterBar).open()

    @on(FilterBar.Filtered)
    def _filtered(self, event: FilterBar.Filtered) -> None:
        self._words = event.words
        self._draw()

    @on(FilterBar.Left)
    def _filter_left(self) -> None:
        self.query_one(DownloadsTable if self._in_downloads else LibraryTable).focus()

    @on(DataTable.RowSelected)
    def _row_selected(self) -> None:
        row, now = self._selected(), self.session.clock()
        if isinstance(row, DownloadView):
            lines, copied = download_lines(row, now, most_files=None), ("id", row.id)
            self.app.push_screen(DetailsDialog("Download", list(lines), copied=copied))
        elif row is not None:
            lines, copied = model_lines(row, now, most_files=None), ("path", row.path)
            self.app.push_screen(DetailsDialog("Model", list(lines), copied=copied))

    def action_pause_or_resume(self) -> None:
        """Pause what is fetched, go on with what is paused or has failed."""
        row = self._download()
        if row is not None and row.state is DownloadState.DONE:
            self._say(f"{row.model} is here already.")
        elif row is not None:
            self._pause_or_resume(row)

    def action_cancel(self) -> None:
        """Give the selected download up."""
        if row := self._download():
            dialog = cancel_dialog(row)
            if dialog is None:
                names = ", ".join(row.services)
                self._say(f"{names} waits for {row.model}: delete that first; space pauses.")
            else:
                self.app.push_screen(dialog)

    def action_remove(self) -> None:
        """Remove the selected model."""
        if (row := self._model()) is None:
            return
        if row.services:
            names = ", ".join(row.services)
            self._say(f"{row.name} is served by {names} and cannot be removed: delete that first.")
        elif row.stored_as is StoredAs.REFERENCE:
            # No file is deleted, so nobody is asked.
            self._forget(row)
        else:
            self.app.push_screen(remove_dialog(row, self._lists.models.values()))

    def action_verify(self) -> None:
        """Read every file of the selected model and compare."""
        if (row := self._model()) and row.id not in self._verifying:
            self._verify(row)

    @work(group="download")
    async def _pause_or_resume(self, row: DownloadView) -> None:
        if view := await pause_or_resume(self, row):
            self._lists.downloads[view.id] = view
            self._draw()

    @work(group="verify")
    async def _verify(self, row: StoredModelView) -> None:
        self._verifying.add(row.id)
        self._draw()
        try:
            await verify(self, row)
        finally:
            self._verifying.discard(row.id)
        self._draw()

    @work(group="remove")
    async def _forget(self, row: StoredModelView) -> None:
        await forget(self, row)
