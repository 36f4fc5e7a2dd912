"""Logs: what any instance prints, followed, searched, by level."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from hydra_box.types import Frozen
from tui.following import follow_log
from tui.screens.base import BoxScreen
from tui.widgets.filter_bar import FilterBar
from tui.widgets.log_view import LogView
from tui.words import STATE_MARKS


class Source(Frozen, frozen=True, kw_only=True):
    """Whose log is shown."""

    service_id: str
    instance: str | None
    title: str


class LogsScreen(BoxScreen):
    """On the left whose, on the right what."""

    TITLE_TEXT = "Logs"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/"),
        Binding("v", "level", "Level", tooltip="all lines, warnings, errors"),
        Binding("f", "end", "Follow", tooltip="to the end, and stay there"),
        Binding("left_square_bracket", "source(-1)", "Source", key_display="[ ]"),
        Binding("right_square_bracket", "source(1)", "Next source", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._sources: list[Source] = []
        self._source: Source | None = None

    def content(self) -> Iterator[Widget]:
        """Sources, search, log."""
        with Horizontal(id="logs"):
            yield OptionList(id="sources")
            with Vertical():
                yield Static(id="whose", markup=False)
                yield FilterBar("words that lines must have")
                yield LogView(id="log")

    def on_mount(self) -> None:
        """Follow what instances there are."""
        self.session.services_changed.subscribe(self, lambda _: self._look())
        self.session.link_changed.subscribe(self, lambda _: self._look())
        self._look()
        self._tell()
        self.query_one(OptionList).focus()

    def action_search(self) -> None:
        """Open the search."""
        self.query_one(FilterBar).open()

    def action_level(self) -> None:
        """Show more or less."""
        self.query_one(LogView).next_level()
        self._tell()

    def action_end(self) -> None:
        """To the last line."""
        self.query_one(LogView).scroll_end(animate=False)

    def action_source(self, step: int) -> None:
        """The next log or the one before."""
        if self._sources:
            at = self._sources.index(self._source) if self._source in self._sources else -step
            options = self.query_one(OptionList)
            options.highlighted = (at + step) % len(self._sources)

    @on(FilterBar.Filtered)
    def _searched(self, event: FilterBar.Filtered) -> None:
        self.query_one(LogView).search(event.words)
        self._tell()

    @on(FilterBar.Left)
    def _search_left(self) -> None:
        self.query_one(LogView).focus()

    @on(OptionList.OptionHighlighted)
    def _chosen(self, event: OptionList.OptionHighlighted) -> None:
        source = self._sources[event.option_index]
        if source != self._source:
            self._source = source
            self._tell()
            self._follow(source)

    def _look(self) -> None:
        sources = []
        for view in self.session.state.by_name():
            sources.append(Source(service_id=view.id, instance=None, title=view.name))
            for one in view.instances:
                title = f"  {STATE_MARKS[one.state]} {one.id.removeprefix(view.name)[1:]}"
                sources.append(Source(service_id=view.id, instance=one.id, title=title))
        if sources == self._sources:
            return
        self._sources = sources
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(one.title) for one in sources])
        places = [(one.service_id, one.instance) for one in sources]
        if self._source and (self._source.service_id, self._source.instance) in places:
            self._source = sources[places.index((self._source.service_id, self._source.instance))]
            options.highlighted = sources.index(self._source)
        elif sources:
            options.highlighted = 0
        else:
            self._source = None
            self.workers.cancel_group(self, "log")
            self.query_one(LogView).start_over()
        self._tell()

    def _tell(self) -> None:
        level = self.query_one(LogView).level.title
        if words := self.query_one(FilterBar).value:
            level += f", with {words!r}"
        if self._source is None:
            text = "no service has an instance; its log would be here"
        else:
            text = f"{self._source.title.strip()}  lines: {level}"
        self.query_one("#whose", Static).update(text)

    @work(exclusive=True, group="log")
    async def _follow(self, source: Source) -> None:
        view = self.query_one(LogView)
        await follow_log(self.session.link, view, source.service_id, source.instance)
