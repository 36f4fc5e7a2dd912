"""Choosing a model: a search field, three filters, the table, and more about its row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import DataTable, Input, Static

from hydra_box.shown.numbers import count
from hydra_box.types import Modality
from tui.widgets.live_table import Column, LiveTable, Row, Tinted
from tui.widgets.plan_candidates import SIZES, Candidate, Filter, parameters, passing
from tui.widgets.plan_choice import Choice, Value

_COLUMNS: Final = (
    Column(id="model", title="MODEL", width=18, stretches=True),
    Column(id="modality", title="MODALITY", width=9),
    Column(id="size", title="SIZE", width=5, right=True),
    Column(id="fits", title="FITS", width=5),
    Column(id="engine", title="ENGINE", width=9),
    Column(id="quantization", title="QUANT", width=7),
    Column(id="on_disk", title="ON DISK", width=7),
    Column(id="reason", title="WHY", width=40, from_width=130, stretches=True),
)
_FITS: Final = {
    True: Tinted(text="✓ yes", tone="success"),
    False: Tinted(text="✗ no", tone="error"),
    None: Tinted(text="?", tone="dim"),
}
_MARKS: Final = {True: ("✓ ", "$text-success"), False: ("✗ ", "$text-error"), None: ("? ", "")}
_ANY: Final = Value(key=None, text="any")
_FIT_VALUES: Final = (_ANY, Value(key="yes", text="yes"), Value(key="no", text="no"))
_WANTED: Final = {None: None, "yes": True, "no": False}
_MODALITIES: Final = (_ANY, *(Value(key=one.value, text=one.value) for one in Modality))
_SIZES: Final = (_ANY, *(Value(key=key, text=one[0]) for key, one in SIZES.items()))


class SearchField(Input):
    """The arrow keys move the table's cursor while one types."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Next row", show=False),
        Binding("up", "move(-1)", "Row before", show=False),
        Binding("escape", "leave", "To the rows"),
    ]

    class Left(Message):
        """The keyboard goes to the rows."""

    class Moved(Message):
        """Another row is wanted."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def action_move(self, by: int) -> None:
        """Have the table's cursor moved."""
        self.post_message(self.Moved(by))

    def action_leave(self) -> None:
        """First drop what was typed, then leave."""
        self.value = ""
        self.post_message(self.Left())


class CatalogTable(LiveTable):
    """The rows to choose from."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Choose", key_display="⏎"),
    ]


class ModelChooser(Vertical):
    """Every model, the filters, and the row that Enter chooses."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/"),
        Binding("f", "filter('fit')", "Fits"),
        Binding("m", "filter('modality')", "Modality"),
        Binding("z", "filter('size')", "Size"),
    ]

    class Chosen(Message):
        """This one is to be deployed."""

        def __init__(self, candidate: Candidate) -> None:
            super().__init__()
            self.candidate = candidate

    def __init__(self) -> None:
        super().__init__(id="choose")
        self._all: Sequence[Candidate] = ()
        self._shown: dict[str, Candidate] = {}

    def compose(self) -> ComposeResult:
        """Field, filters, table, more."""
        yield SearchField(
            id="search",
            compact=True,
            placeholder="/ to search; or a Hub name (org/repo) or a path (/..., ~/...)",
        )
        with Horizontal(id="filters"):
            for id, title, values in (
                ("fit", "f fits", _FIT_VALUES),
                ("modality", "m modality", _MODALITIES),
                ("size", "z size", _SIZES),
            ):
                yield Static(title, classes="muted")
                yield Choice(values, id=id)
            yield Static(id="how-many")
        yield Static(id="choose-problem", classes="problem")
        yield CatalogTable(_COLUMNS, id="catalog")
        yield Static(id="about-model")

    def on_mount(self) -> None:
        """The keyboard is in the table."""
        self.tell("looking at the catalog ...")
        self.query_one(LiveTable).focus()

    def fill(self, candidates: Sequence[Candidate]) -> None:
        """Have these; the cursor stays on its row."""
        self._all = candidates
        self.tell("")
        self._show()

    def tell(self, text: str, *, wrong: bool = False) -> None:
        """What goes on, or went wrong, with what was asked here."""
        line = self.query_one("#choose-problem", Static)
        line.display = bool(text)
        line.set_class(wrong, "problem")
        line.update(Content(text))

    def take_keyboard(self) -> None:
        """To the rows."""
        self.query_one(LiveTable).focus()

    def action_search(self) -> None:
        """To the search field."""
        self.query_one(SearchField).focus()

    def action_filter(self, id: str) -> None:
        """The next value of a filter."""
        self.query_one(f"#{id}", Choice).action_step(1)

    @on(Choice.Changed)
    @on(Input.Changed)
    def _asked(self, event: Choice.Changed | Input.Changed) -> None:
        event.stop()
        self.tell("")
        self._show()
        if self._shown:
            self.query_one(LiveTable).move_cursor(row=0)
        self._tell_about()

    @on(Input.Submitted)
    @on(DataTable.RowSelected)
    def _selected(self, event: Input.Submitted | DataTable.RowSelected) -> None:
        event.stop()
        if one := self._current():
            self.post_message(self.Chosen(one))

    @on(DataTable.RowHighlighted)
    def _tell_about(self) -> None:
        one = self._current()
        text = Content("\n").join(_about(one)) if one else Content(self._nothing())
        self.query_one("#about-model", Static).update(text)

    @on(SearchField.Left)
    def _left(self) -> None:
        self.take_keyboard()

    @on(SearchField.Moved)
    def _moved(self, event: SearchField.Moved) -> None:
        table = self.query_one(LiveTable)
        table.move_cursor(row=table.cursor_row + event.by)

    def _current(self) -> Candidate | None:
        return self._shown.get(self.query_one(LiveTable).current_key or "")

    def _show(self) -> None:
        asked = Filter(
            text=self.query_one(SearchField).value,
            fits=_WANTED[self.query_one("#fit", Choice).value],
            modality=self.query_one("#modality", Choice).value,
            size=self.query_one("#size", Choice).value,
        )
        self._shown = {one.model: one for one in passing(self._all, asked)}
        self.query_one(LiveTable).show({key: _row(one) for key, one in self._shown.items()})
        self.query_one("#how-many", Static).update(count(len(self._shown), "model"))
        if not self._shown:
            self._tell_about()

    def _nothing(self) -> str:
        if not self._all:
            return ""
        return (
            "No model has that. A repository of the hub is written org/repo, "
            "a file with its whole path."
        )


def _row(one: Candidate) -> Row:
    return {
        "model": one.name,
        "modality": one.modality.value if one.modality else "-",
        "size": parameters(one.parameters),
        "fits": _FITS[one.fits],
        "engine": one.engine or "-",
        "quantization": one.quantization or "-",
        "on_disk": "● yes" if one.on_disk else "",
        "reason": one.reason,
    }


def _about(one: Candidate) -> Iterator[Content]:
    yield Content.assemble((one.name, "bold"), f"  {one.description}")
    yield Content.assemble(_MARKS[one.fits], one.reason)
    if one.about:
        yield Content.styled(one.about, "$text-muted")
