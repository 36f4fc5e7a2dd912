"""The live plan beside the form that it is made from, with what would fit instead."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from hydra_box.messages import PlanView
from hydra_box.types import Alternative
from tui.widgets.plan_text import plan_body, plan_head


class PlanPane(VerticalScroll, can_focus=False):
    """The last plan; dimmed while it is not of what the form says now."""

    class Applied(Message):
        """An alternative is wanted."""

        def __init__(self, alternative: Alternative) -> None:
            super().__init__()
            self.alternative = alternative

    def __init__(self) -> None:
        super().__init__(id="plan")
        self._plan: PlanView | None = None
        self._alternatives: Sequence[Alternative] = ()

    @property
    def alternatives(self) -> Sequence[Alternative]:
        """What would fit instead."""
        return self._alternatives

    def compose(self) -> ComposeResult:
        """Verdict, alternatives, the rest."""
        yield Static(id="plan-head")
        yield OptionList(id="alternatives")
        yield Static(id="plan-body")

    def on_mount(self) -> None:
        """Nothing is planned yet."""
        choices = self.query_one(OptionList)
        choices.display = False
        choices.border_title = "what would fit: its number, or enter"

    def on_resize(self) -> None:
        """Bars are as long as there is room."""
        self._show_body()

    def wait(self, text: str = "") -> None:
        """A new plan is being made; the text says so where there is none before."""
        self.add_class("-stale")
        if self._plan is None and text:
            self.query_one("#plan-head", Static).update(Content(text))

    def show(
        self,
        plan: PlanView,
        alternatives: Sequence[Alternative],
        *,
        disk_free_bytes: int | None = None,
    ) -> None:
        """Show a plan, and those of its alternatives that can be chosen here."""
        self._plan, self._alternatives = plan, alternatives
        self.remove_class("-stale")
        head = plan_head(plan, disk_free_bytes=disk_free_bytes)
        self.query_one("#plan-head", Static).update(head)
        choices = self.query_one(OptionList)
        choices.display = bool(alternatives)
        choices.set_options(
            Option(Content.assemble((f"{number} ", "bold $accent"), one.message))
            for number, one in enumerate(alternatives, 1)
        )
        if alternatives:
            choices.highlighted = 0
        self._show_body()

    def forget(self) -> None:
        """No plan: what it was about is another now."""
        self._plan, self._alternatives = None, ()
        self.query_one("#plan-head", Static).update("")
        self.query_one("#plan-body", Static).update("")
        self.query_one(OptionList).display = False

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Applied(self._alternatives[event.option_index]))

    def _show_body(self) -> None:
        if self._plan is not None and self.size.width:
            body = plan_body(self._plan, self.scrollable_content_region.width)
            self.query_one("#plan-body", Static).update(body)
