"""Everything that needs a person; each line leads to its cause."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from hydra_box.messages import Attention
from tui.screens.base import Dialog
from tui.screens.service import ServiceScreen


class AttentionDialog(Dialog):
    """The lines as they were when it was opened."""

    def compose(self) -> ComposeResult:
        """One option a line."""
        self._lines = self.session.state.attention
        with Vertical(classes="dialog") as box:
            box.border_title = "Needs attention"
            box.border_subtitle = "enter: to the cause   escape: close"
            yield OptionList(*(Option(_text(line)) for line in self._lines))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        line = self._lines[event.option_index]
        view = self.session.state.named(line.service_name or "")
        self.dismiss()
        if view is not None:
            self.app.push_screen(ServiceScreen(view.id))
        else:
            self.app.switch_mode("engines")


def _text(line: Attention) -> Content:
    text = Content.assemble(("! ", "$text-warning"), line.message)
    return Content.assemble(text, (f"\n  hint: {line.hint}", "dim")) if line.hint else text
