"""A field of the form for keys: its title, what is typed, and a line about it."""

from __future__ import annotations

from typing import Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Checkbox, Input, Label, Static

from hydra_box.types import Scope
from tui.widgets.keys_values import PRESETS
from tui.widgets.keys_words import may


class Note(Static):
    """A line below a field; it takes no room while it says nothing."""

    def on_mount(self) -> None:
        """Nothing is said yet."""
        self.display = bool(self.content)

    def say(self, text: str, *, wrong: bool) -> None:
        """Tell what the value means, or why it is refused."""
        self.display = bool(text)
        told = f"✗ {text}" if wrong else text
        self.update(Content.styled(told, "$text-error" if wrong else "$text-muted"))


class KeyField(Vertical):
    """A title and an input on one line, below it the note or what is wrong."""

    def __init__(self, field: str, title: str, value: str, *, placeholder: str = "") -> None:
        super().__init__(id=f"field-{field}", classes="key-field")
        self.field = field
        self._title = title
        self.input = self._make_input(value, placeholder)

    def compose(self) -> ComposeResult:
        """Title, input, note."""
        with Horizontal(classes="key-line"):
            yield Label(self._title)
            yield self.input
        yield Note(classes="key-note")

    def say(self, note: str, *, wrong: bool = False) -> None:
        """Tell what the value means, or why it is refused."""
        self.input.set_class(wrong, "-invalid")
        self.query_one(Note).say(note, wrong=wrong)

    def _make_input(self, value: str, placeholder: str) -> Input:
        return Input(value, placeholder=placeholder, compact=True, id=self.field)


class ExpiryInput(Input):
    """Up and down go through the usual spans."""

    BINDINGS = [  # noqa: RUF012 - as Textual declares it
        Binding("down", "preset(1)", "Next span", show=False),
        Binding("up", "preset(-1)", "Span before", show=False),
    ]

    def action_preset(self, step: int) -> None:
        """Take the next of the usual spans, or the one before."""
        value = self.value.strip()
        if value in PRESETS:
            self.value = PRESETS[(PRESETS.index(value) + step) % len(PRESETS)]
        else:
            self.value = PRESETS[0]


class ExpiryField(KeyField):
    """When the key ends; the usual spans can be clicked, too."""

    def compose(self) -> ComposeResult:
        """Title, input and spans on one line, the note below."""
        with Horizontal(classes="key-line"):
            yield Label(self._title)
            yield self.input
            yield Static(_presets(), id="presets")
        yield Note(classes="key-note")

    def _make_input(self, value: str, placeholder: str) -> Input:
        return ExpiryInput(value, placeholder=placeholder, compact=True, id=self.field)


class ScopeBox(Checkbox):
    """A checkbox whose state can be seen without colour."""

    def __init__(self, scope: Scope, *, value: bool) -> None:
        self.BUTTON_INNER = "X" if value else " "
        super().__init__(
            f"{scope.value}: {may((scope,))}", value, compact=True, id=f"scope-{scope.value}"
        )
        self.scope = scope

    def watch_value(self) -> None:
        """Another mark, before it is drawn."""
        self.BUTTON_INNER = "X" if self.value else " "
        super().watch_value()


class ScopesField(Vertical):
    """What the key may do."""

    field: Final = "scopes"

    def __init__(self, scopes: tuple[Scope, ...]) -> None:
        super().__init__(id="field-scopes", classes="key-field")
        self._boxes = [ScopeBox(scope, value=scope in scopes) for scope in Scope]

    def compose(self) -> ComposeResult:
        """Title, boxes, note."""
        with Horizontal(classes="key-line"):
            yield Label("Scopes")
            yield from self._boxes
        yield Note(classes="key-note")

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Those that are ticked."""
        return tuple(box.scope for box in self._boxes if box.value)

    def say(self, note: str, *, wrong: bool = False) -> None:
        """Tell why none is not enough."""
        self.query_one(Note).say(note, wrong=wrong)


def _presets() -> Content:
    links = (f"[@click=screen.expiry('{preset}')]{preset}[/]" for preset in PRESETS)
    return Content.from_markup(f"↑↓ {' '.join(links)} or a date")
