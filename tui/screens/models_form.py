"""A form whose answer may take long: it can be left, and what was asked goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Checkbox, Label, OptionList, Static

from hydra_box.client import Client
from hydra_box.errors import HydraError
from hydra_box.shown.text import harmless
from tui.screens.base import Dialog

T = TypeVar("T")


class FormDialog(Dialog):
    """Fields, a list to choose from, and ``#why`` for what goes on and what went wrong."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "to_list", "To the list", show=False),
        Binding("j", "step('down')", "Down", show=False),
        Binding("k", "step('up')", "Up", show=False),
    ]

    def __init__(self, changed: Callable[[], None]) -> None:
        """Make it; ``changed`` is called when the box has done what was asked."""
        super().__init__()
        self._changed = changed
        self._asking = False

    def action_to_list(self) -> None:
        """From a field to what can be chosen."""
        options = self.query_one(OptionList)
        options.focus()
        if options.highlighted is None:
            options.action_first()

    def action_step(self, way: str) -> None:
        """To the next one of the list, or the one before."""
        options = self.query_one(OptionList)
        if way == "down":
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Show it, if the form is still there."""
        if self.is_attached:
            shown = harmless(text)
            content = Content.styled(shown, "$text-error") if wrong else Content(shown)
            self.query_one("#why", Static).update(content)

    def ask(self, doing: str, call: Callable[[Client], T], told: Callable[[T], str]) -> None:
        """Have the box do it, unless it is doing it already.

        The work is the application's: who leaves the form is told of the end all the same.
        """
        if self._asking:
            return
        self._asking = True
        self.say(f"{doing} ... escape leaves this form; it goes on")
        self.app.run_worker(self._ask(call, told), group="forms")

    async def _ask(self, call: Callable[[Client], T], told: Callable[[T], str]) -> None:
        app, link = self.app, self.session.link
        try:
            done = await link.call(call)
        except HydraError as error:
            self.say(str(error), wrong=True)
            if not self.is_attached:
                app.notify(str(error), severity="error", timeout=10, markup=False)
        else:
            app.notify(told(done), markup=False)
            self._changed()
            if self.is_attached:
                self.dismiss()
        finally:
            self._asking = False


class TickBox(Checkbox):
    """A checkbox whose state is seen without colour."""

    BUTTON_INNER = " "

    def __init__(self, label: str, *, id: str) -> None:
        super().__init__(label, compact=True, id=id)

    def watch_value(self) -> None:
        """Another mark, before it is drawn."""
        self.BUTTON_INNER = "X" if self.value else " "
        super().watch_value()


def field(label: str, widget: Widget) -> Horizontal:
    """A field with its name before it."""
    return Horizontal(Label(label), widget, classes="field")
