"""Usage: what each model, key, user or service used, and when."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import ClassVar, Final

from textual import on, work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import DataTable, Static

from hydra_box.errors import HydraError
from hydra_box.messages import UsageBy, UsagePer, UsageReport
from tui.screens.base import BoxScreen
from tui.screens.service import ServiceScreen
from tui.widgets.bar_chart import Bar, BarChart
from tui.widgets.usage_buckets import Bucket, buckets
from tui.widgets.usage_head import (
    HOURS_SHOWN,
    Measure,
    UsageView,
    head,
    nothing,
    told_chart,
    told_totals,
)
from tui.widgets.usage_table import ALL, UsageTable, row_key

_NOTE: Final = "usage"


class UsageScreen(BoxScreen):
    """Sums, a chart over time, and a table of who used how much of it."""

    TITLE_TEXT = "Usage"
    REFRESH_SECONDS: ClassVar[float] = 10.0
    """No event tells of usage."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "by('model')", "By model"),
        Binding("k", "by('key')", "By key"),
        Binding("u", "by('user')", "By user", show=False),
        Binding("s", "by('service')", "By service", show=False),
        Binding("h", "per('hour')", "Hours"),
        Binding("d", "per('day')", "Days"),
        Binding("w", "per('week')", "Weeks"),
        Binding("M", "per('month')", "Months"),
        Binding("t", "measure", "Tokens or requests", show=False),
        Binding("left", "per_step(-1)", "Shorter times", show=False),
        Binding("right", "per_step(1)", "Longer times", show=False),
        Binding("enter", "open", "Open the service, or the keys", show=False),
        Binding("r", "refresh", "Read again", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._view = UsageView()
        self._report: UsageReport | None = None
        self._go_to: str | None = None
        """The row to select once it is read."""

    def content(self) -> Iterator[Widget]:
        """What is shown, the sums, the chart, the table."""
        yield Static(id="usage-head")
        yield Static("reading what was used ...", id="usage-totals")
        yield Static(id="usage-empty")
        yield Static(id="usage-title")
        yield BarChart(id="usage-chart")
        yield UsageTable()

    def on_mount(self) -> None:
        """As it was left the last time."""
        self._view = self.session.notebook.read(_NOTE, UsageView, UsageView())
        self.query_one(UsageTable).focus()
        self.session.link_changed.subscribe(self, lambda _: self._look())
        self.set_interval(self.REFRESH_SECONDS, self._look)
        self._show_head()

    def on_screen_resume(self) -> None:
        """What was used meanwhile."""
        self._look()

    def select(self, by: UsageBy, id: str) -> None:
        """Show what one key or user used."""
        self._go_to = row_key(id)
        self.action_by(by)

    @on(DataTable.RowHighlighted)
    def _row_highlighted(self) -> None:
        self._show_chart()

    @on(DataTable.RowSelected)
    def _row_selected(self) -> None:
        self.action_open()

    def action_by(self, by: str) -> None:
        """Sum over models, keys, users or services."""
        if by != self._view.by:
            self._go_to = self._go_to or ALL
        self._change(UsageView(by=UsageBy(by), per=self._view.per, measure=self._view.measure))

    def action_per(self, per: str) -> None:
        """One bar an hour, day, week or month."""
        self._change(UsageView(by=self._view.by, per=UsagePer(per), measure=self._view.measure))

    def action_per_step(self, step: int) -> None:
        """The next longer or shorter times."""
        spans = list(UsagePer)
        at = spans.index(self._view.per) + step
        if 0 <= at < len(spans):
            self.action_per(spans[at])

    def action_measure(self) -> None:
        """Bars of tokens, or of requests."""
        measures = list(Measure)
        other = measures[1 - measures.index(self._view.measure)]
        self._view = UsageView(by=self._view.by, per=self._view.per, measure=other)
        self._keep()
        self._show_head()
        self._show_chart()

    def action_refresh(self) -> None:
        """Read it now."""
        self._look()

    def action_open(self) -> None:
        """The page of the selected service, with how to call it; or the keys."""
        services = self.session.state.services
        if self._report is not None and not self._report.rows:
            self._open_service(next((view.id for view in self.session.state.by_name()), None))
        elif self._view.by in (UsageBy.KEY, UsageBy.USER):
            self.app.switch_mode("keys")
        elif (id := self.query_one(UsageTable).current_id) is not None:
            self._open_service(id if id in services else None)

    def _open_service(self, service_id: str | None) -> None:
        if service_id is not None:
            self.app.push_screen(ServiceScreen(service_id))
        else:
            self.notify("That service is not there.", severity="warning")

    def _change(self, view: UsageView) -> None:
        self._view = view
        self._keep()
        self._show_head()
        self._look()

    def _keep(self) -> None:
        # A view that cannot be kept is no reason to disturb anyone.
        with contextlib.suppress(OSError):
            self.session.notebook.keep(_NOTE, self._view)

    def _look(self) -> None:
        if self.is_current and self.session.state.lost_at is None:
            self._read(self._view.by, self._view.per)

    @work(exclusive=True, group="usage")
    async def _read(self, by: UsageBy, per: UsagePer) -> None:
        try:
            report = await self.session.link.call(
                lambda box: box.usage(by=by, per=per, since=_since(per))
            )
        except HydraError as error:
            problem = Content.styled(str(error), "$text-error")
            self.query_one("#usage-totals", Static).update(problem)
            return
        self._report = report
        self._show()

    def _show(self) -> None:
        report = self._report
        if report is None:
            return
        empty, table = self.query_one("#usage-empty", Static), self.query_one(UsageTable)
        self.query_one("#usage-totals", Static).update(told_totals(report))
        self.set_class(not report.rows, "-empty")
        if not report.rows:
            empty.update(nothing(report, self.session.state.services.values()))
        elif self.focused is None:
            # The table loses the keyboard while there is nothing in it to see.
            table.focus()
        table.show_report(report)
        if self._go_to is not None:
            table.move_to(self._go_to)
            self._go_to = None
        self._show_chart()

    def _show_head(self) -> None:
        self.query_one("#usage-head", Static).update(head(self._view))

    def _show_chart(self) -> None:
        report = self._report
        if report is None or not report.rows:
            return
        id = self.query_one(UsageTable).current_id
        shown = buckets(report, id)
        bars = [Bar(label=one.label, value=self._view.measure.of(one)) for one in shown]
        self.query_one(BarChart).show(bars, anchor=_anchor(shown, report.per))
        whose = next((row.name for row in report.rows if row.id == id), f"all {report.by}s")
        title = told_chart(whose, self._view, report, shown)
        self.query_one("#usage-title", Static).update(title)


def _since(per: UsagePer) -> float | None:
    """When the chart begins; None: the report says so. All its hours have no room in a terminal."""
    return time.time() - (HOURS_SHOWN - 1) * 3600 if per is UsagePer.HOUR else None


def _anchor(shown: list[Bucket], per: UsagePer) -> int:
    """The bar whose label is needed most: where a day begins, else now."""
    if per is not UsagePer.HOUR:
        return -1
    return next((at for at, one in enumerate(shown) if one.midnight), -1)
