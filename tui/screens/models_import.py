"""Importing a model that is on the box's machine already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from hydra_box.errors import HydraError
from hydra_box.messages import ImportRequest, StoredModelView
from hydra_box.shown.numbers import count, size
from hydra_box.shown.text import harmless
from hydra_box.types import FoundModel
from tui.screens.models_form import FormDialog, TickBox, field
from tui.widgets.models_words import clip

_NAME_WIDTH: Final = 34


class ImportDialog(FormDialog):
    """Path, copy or not, name; and what other programs have, to choose from."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(changed)
        self._found: tuple[FoundModel, ...] = ()

    def compose(self) -> ComposeResult:
        """Fields, what was found, what is wrong."""
        with Vertical(classes="dialog form") as box:
            box.border_title = "Import a model"
            box.border_subtitle = "enter: import   down: found   tab: next field   escape: leave"
            yield field(
                "Path",
                Input(
                    placeholder="a GGUF file, or a directory with safetensors",
                    compact=True,
                    id="path",
                ),
            )
            yield field(
                "Name", Input(placeholder="made from the file's name", compact=True, id="name")
            )
            yield field(
                "Projector",
                Input(
                    placeholder="only if its vision part lies apart", compact=True, id="projector"
                ),
            )
            yield TickBox("Copy the files; else they are used where they are", id="copy")
            yield Static("looking for models of other programs ...", id="offer", classes="muted")
            yield OptionList(id="found", markup=False)
            yield Static(id="why")

    def on_mount(self) -> None:
        """The keyboard is in the first field."""
        self.query_one("#path", Input).focus()
        self._look()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        found = self._found[event.option_index]
        path = self.query_one("#path", Input)
        path.value = found.path
        # What came from the hub keeps the hub's name, which the box knows how to make.
        self.query_one("#name", Input).value = "" if found.name.startswith("hf:") else found.name
        self.query_one("#projector", Input).value = found.projector or ""
        path.focus()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        path = self._value("path")
        if not path:
            self.say("which model? type a path, or choose one that was found", wrong=True)
            return
        projector = self._value("projector")
        request = ImportRequest(
            path=self._as_the_box_sees(path),
            copy=self.query_one(TickBox).value,
            name=self._value("name") or None,
            projector=self._as_the_box_sees(projector) if projector else None,
        )
        self.ask(f"importing {path}", lambda box: box.import_model(request), _told)

    @work(exclusive=True)
    async def _look(self) -> None:
        offer = self.query_one("#offer", Static)
        try:
            self._found = await self.session.link.call(lambda box: box.found_models())
        except HydraError as error:
            offer.update(Content(f"could not look for models: {error.message}"))
            return
        options = self.query_one(OptionList)
        options.add_options([Option(_line(one), disabled=one.in_library) for one in self._found])
        if self._found:
            offer.update(f"{count(len(self._found), 'model')} found on the box's machine:")
        else:
            offer.update("No models of other programs were found on the box's machine.")

    def _value(self, id: str) -> str:
        return self.query_one(f"#{id}", Input).value.strip()

    def _as_the_box_sees(self, path: str) -> str:
        """The daemon has another working directory; a path of a box elsewhere stays as it is."""
        return path if self.session.address else str(Path(path).expanduser().absolute())


def _line(one: FoundModel) -> Content:
    text = f"{clip(harmless(one.name), _NAME_WIDTH):<{_NAME_WIDTH}} {size(one.size_bytes):>9}  "
    told = "in the library already" if one.in_library else one.source
    return Content(f"{text}{harmless(told)}")


def _told(view: StoredModelView) -> str:
    return f"{view.name} is in the library: d deploys it."
