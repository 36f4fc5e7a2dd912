"""Deleting a service: its name is typed, so that nobody does it by a slip of the hand."""

from __future__ import annotations

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from hydra_box.errors import HydraError
from hydra_box.messages import ServiceView
from hydra_box.shown.numbers import count
from tui.screens.base import Dialog


class DeleteDialog(Dialog):
    """Says what is lost and what stays; Enter deletes once the name is right."""

    def __init__(self, view: ServiceView) -> None:
        super().__init__()
        self._view = view

    def compose(self) -> ComposeResult:
        """What is lost, the name, what is wrong."""
        view = self._view
        with Vertical(classes="dialog") as box:
            box.border_title = f"Delete {view.name}"
            box.border_subtitle = "enter: delete   escape: keep it"
            yield Static(Content(_loss(view)))
            yield Static(Content.assemble("Type ", (view.name, "bold"), " to confirm:"))
            yield Input(id="confirm", compact=True)
            yield Static(id="why")

    def on_input_changed(self) -> None:
        """A name that cannot become the right one is marked while it is typed."""
        typed = self.query_one(Input).value
        wrong = not self._view.name.startswith(typed)
        self.query_one(Input).set_class(wrong, "-invalid")
        self._say(f"the service is called {self._view.name}" if wrong else "")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if event.value != self._view.name:
            self._say(f"{event.value!r} is not its name: {self._view.name}")
            return
        self._delete()

    @work(exclusive=True)
    async def _delete(self) -> None:
        view = self._view
        try:
            await self.session.link.call(lambda box: box.delete(view.name, view.name))
        except HydraError as error:
            self._say(str(error))
            return
        self.notify(f"{view.name} is being deleted.", markup=False)
        self.dismiss()

    def _say(self, text: str) -> None:
        self.query_one("#why", Static).update(Content.styled(text, "$text-error"))


def _loss(view: ServiceView) -> str:
    """What is lost, and what is not."""
    busy = view.stats.requests_in_flight
    wait = f" once {count(busy, 'request')} under way is over" if busy == 1 else ""
    if busy > 1:
        wait = f" once {count(busy, 'request')} under way are over"
    number = len(view.instances)
    ends = {0: "it has no instances", 1: "its instance ends"}.get(
        number, f"its {number} instances end"
    )
    if there := len(view.upstreams):
        forgotten = "its upstream is" if there == 1 else f"its {there} upstreams are"
        ends = f"{ends}; {forgotten}" if view.instances else forgotten
        ends += " forgotten, with its key" if there == 1 else " forgotten, with their keys"
    return (
        f"{view.access_name} stops answering for good, and {ends}{wait}. "
        "The model's files and what was used stay.\n"
    )
