"""Offered when no daemon answers: the ways to start one."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from hydra_box.errors import HydraError
from tui.screens.base import Dialog
from tui.session import StartWay


class StartDialog(Dialog):
    """Closes by itself once a daemon answers, whoever has started it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "app.quit", "Quit"),
        Binding("j", "down", "Down", show=False),
        Binding("k", "up", "Up", show=False),
    ]

    def compose(self) -> ComposeResult:
        """What is missing, and what can be done."""
        with Vertical(classes="dialog") as box:
            box.border_title = "No daemon runs"
            box.border_subtitle = "enter: start   escape: look around without   q: quit"
            yield Static("The daemon serves the models; the console only shows and asks.\n")
            yield OptionList(*(Option(_text(way)) for way in self.session.start_ways))
            yield Static(id="why", markup=False)

    def on_mount(self) -> None:
        """Close when the box answers; offer the keys."""
        self.session.link_changed.subscribe(self, lambda _: self._look())
        self.query_one(OptionList).focus()

    def on_key(self, event: object) -> None:
        """The key of a way starts it."""
        for way in self.session.start_ways:
            if getattr(event, "key", "") == way.key:
                self._start(way)

    def action_down(self) -> None:
        """To the next way."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """To the way before."""
        self.query_one(OptionList).action_cursor_up()

    def _look(self) -> None:
        if self.session.state.lost_at is None and self.is_current:
            self.dismiss()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self._start(self.session.start_ways[event.option_index])

    @work(exclusive=True, thread=False)
    async def _start(self, way: StartWay) -> None:
        why = self.query_one("#why", Static)
        why.update("starting the daemon ...")
        self.query_one(OptionList).disabled = True
        try:
            await self.session.link.run(way.start)
        except HydraError as error:
            why.update(Content.styled(str(error), "$text-error"))
            self.query_one(OptionList).disabled = False
            self.query_one(OptionList).focus()
        else:
            why.update("it answers; connecting ...")


def _text(way: StartWay) -> Content:
    return Content.assemble(
        (f" {way.key} ", "bold $accent"), (way.title, "bold"), f"\n   {way.detail}"
    )
