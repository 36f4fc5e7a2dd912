"""Pulling a model: which, and in which quantisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from hydra_box.errors import HydraError
from hydra_box.messages import DownloadView, ModelView, PullRequest
from hydra_box.shown.numbers import size
from hydra_box.shown.text import harmless
from tui.screens.models_form import FormDialog, TickBox, field
from tui.widgets.models_words import clip

_ID_WIDTH: Final = 30
_REASON_WIDTH: Final = 37


class PullDialog(FormDialog):
    """MODEL and quantisation; the catalog's models that match what is typed are below."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(changed)
        self._catalog: tuple[ModelView, ...] = ()

    def compose(self) -> ComposeResult:
        """Fields, catalog, what is wrong."""
        with Vertical(classes="dialog form") as box:
            box.border_title = "Pull a model"
            box.border_subtitle = "enter: pull   down: catalog   tab: next field   escape: leave"
            yield field(
                "Model", Input(placeholder="a catalog id, or hf:org/repo", compact=True, id="model")
            )
            yield field(
                "Quantisation",
                Input(placeholder="the best that fits", compact=True, id="quantization"),
            )
            yield TickBox("With Python code that the repository brings: it runs as you", id="code")
            yield Static("asking for the catalog ...", id="offer", classes="muted")
            yield OptionList(id="catalog", markup=False)
            yield Static(id="why")

    def on_mount(self) -> None:
        """The keyboard is in the first field."""
        self.query_one("#model", Input).focus()
        self._read_catalog()

    @on(Input.Changed, "#model")
    def _typed(self) -> None:
        self._show_catalog()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        model = self.query_one("#model", Input)
        model.value = event.option_id or ""
        model.focus()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        model = self.query_one("#model", Input).value.strip()
        if not model:
            self.say("which model? type a catalog id or hf:org/repo", wrong=True)
            return
        request = PullRequest(
            model=model,
            quantization=self.query_one("#quantization", Input).value.strip() or None,
            allow_code=self.query_one(TickBox).value,
        )
        self.ask(f"asking the hub about {model}", lambda box: box.pull(request), _told)

    @work(exclusive=True)
    async def _read_catalog(self) -> None:
        try:
            self._catalog = await self.session.link.call(lambda box: box.models())
        except HydraError as error:
            self.query_one("#offer", Static).update(Content(f"no catalog: {error.message}"))
            return
        self._show_catalog()

    def _show_catalog(self) -> None:
        typed = self.query_one("#model", Input).value.strip().casefold()
        words = typed.split()
        found = [one for one in self._catalog if all(word in _text(one) for word in words)]
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(_line(one), id=one.id) for one in found])
        if self._catalog:
            self.query_one("#offer", Static).update(self._offer(typed, len(found)))

    def _offer(self, typed: str, number: int) -> Content:
        exact = next((one for one in self._catalog if one.id.casefold() == typed), None)
        if exact is not None:
            return Content(f"{exact.name}: on offer {', '.join(exact.quantizations) or '-'}")
        if typed.startswith("hf:"):
            return Content("of the hub; hf:org/repo:Q4_K_M or hf:org/repo:FILE chooses what of it")
        return Content(f"{number} of {len(self._catalog)} models of the catalog:")


def _text(view: ModelView) -> str:
    return f"{view.id} {view.name} {' '.join(view.tags)}".casefold()


def _line(view: ModelView) -> Content:
    if view.on_disk:
        told = Content("on this machine")
    elif view.fits:
        told = Content(f"fits: {view.quantization or '-'} on {view.engine or '-'}")
    else:
        told = Content.styled(clip(f"no: {view.reason}", _REASON_WIDTH), "$text-muted")
    return Content.assemble(f"{harmless(view.id):<{_ID_WIDTH}} ", told)


def _told(view: DownloadView) -> str:
    if view.transfer.done_bytes >= view.transfer.total_bytes:
        return f"{view.model} is on this machine already."
    return f"{view.model} is queued: {size(view.transfer.total_bytes)}."
