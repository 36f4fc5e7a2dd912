"""The options of a plan as a form; what is left open, the plan chooses."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.message import Message
from textual.widgets import Input, Label

from hydra_box.messages import PlanView
from hydra_box.types import CPU, LOCAL_ENGINES, Frozen
from tui.widgets.plan_choice import AUTO, Choice, Value

PUBLIC: Final = "public"
ALLOWED: Final = "allowed"
IDLE_TIMEOUT: Final = "idle_timeout_seconds"

LABELS: Final = {
    "name": "Name",
    "public": "Who may call",
    "instances": "Instances",
    "context_length": "Context",
    "concurrency": "Slots",
    "engine": "Engine",
    "quantization": "Quantisation",
    "device": "Device",
    "allow_code": "Its own code",
    "revision": "Revision",
    IDLE_TIMEOUT: "Idle timeout",
    "priority": "Priority",
}
"""Field to its label; the fields have the names that errors give them."""
NUMBERS: Final = ("instances", "context_length", "concurrency", "priority")
_PLACEHOLDERS: Final = {
    "instances": "1",
    "revision": "as it is; a tag, main",
    IDLE_TIMEOUT: "never; 15m, 2h, 1d",
    "priority": "as it is; 0 to 100",
}
_VALUES: Final = {
    "public": (Value(key=None, text="own keys"), Value(key=PUBLIC, text="every key")),
    "engine": (AUTO, *(Value(key=one.value, text=one.value) for one in LOCAL_ENGINES)),
    "quantization": (AUTO,),
    "device": (AUTO, Value(key=CPU, text="cpu")),
    "allow_code": (Value(key=None, text="refused"), Value(key=ALLOWED, text="may run here")),
}


class Options(Frozen, frozen=True, kw_only=True):
    """What a form says; None is left open."""

    name: str | None = None
    public: bool = False
    instances: int | None = None
    context_length: int | None = None
    concurrency: int | None = None
    engine: str | None = None
    quantization: str | None = None
    device: str | None = None
    allow_code: bool = False
    revision: str | None = None
    priority: int | None = None
    idle_timeout: str | None = None
    """As it is typed: what is wrong with it is told like any other mistake."""


class PlanForm(Container):
    """A line for each field; the arrow keys go up and down, too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", "Next field", show=False),
        Binding("up", "app.focus_previous", "Field before", show=False),
    ]

    class Changed(Message):
        """An option is another now."""

    class Entered(Message):
        """Enter was pressed in a field."""

    def __init__(self, fields: Sequence[str]) -> None:
        super().__init__(id="form")
        self._fields = fields

    def compose(self) -> ComposeResult:
        """Label and field, again and again."""
        for name in self._fields:
            with Horizontal(classes="field"):
                yield Label(LABELS[name], classes="muted")
                if name in _VALUES:
                    yield Choice(_VALUES[name], id=name)
                else:
                    yield _input(name)

    @property
    def options(self) -> Options:
        """What it says now."""
        return Options(
            name=self._text("name") or None,
            public=self._chosen("public") is not None,
            instances=self._number("instances"),
            context_length=self._number("context_length"),
            concurrency=self._number("concurrency"),
            engine=self._chosen("engine"),
            quantization=self._chosen("quantization"),
            device=self._chosen("device"),
            allow_code=self._chosen("allow_code") is not None,
            revision=self._text("revision") or None,
            priority=self._number("priority"),
            idle_timeout=self._text(IDLE_TIMEOUT) or None,
        )

    def put(self, options: Options) -> None:
        """Have it say this, and tell nobody."""
        with self.prevent(Input.Changed):
            self._put("name", options.name)
            self._put("revision", options.revision)
            self._put(IDLE_TIMEOUT, options.idle_timeout)
            for name in NUMBERS:
                number: int | None = getattr(options, name)
                self._put(name, "" if number is None else str(number))
        self._put("public", PUBLIC if options.public else None)
        self._put("engine", options.engine)
        self._put("quantization", options.quantization)
        self._put("device", options.device)
        self._put("allow_code", ALLOWED if options.allow_code else None)

    def offer(self, field: str, values: Sequence[Value]) -> None:
        """The values of a field that has values."""
        self.query_one(f"#{field}", Choice).offer(values)

    def suggest(self, field: str, text: str) -> None:
        """Shown while nothing is typed."""
        self.query_one(f"#{field}", Input).placeholder = text

    def mark(self, wrong: Collection[str]) -> None:
        """Mark the fields whose values are refused."""
        for field in self.query(".field"):
            for one in field.query("Input, Choice"):
                one.set_class(one.id in wrong, "-invalid")

    def tell_planned(self, plan: PlanView) -> None:
        """What was chosen for what was left open."""
        if not plan.fits:
            return
        for name, number in (("context_length", plan.context_length), ("concurrency", plan.slots)):
            if name in self._fields and number is not None:
                self.suggest(name, f"auto: {number:,}")
        for name, word in (("engine", plan.engine), ("quantization", plan.quantization)):
            if name in self._fields:
                self.query_one(f"#{name}", Choice).tell_planned(word or "")

    def forget_planned(self) -> None:
        """Another model: what was chosen for the one before says nothing."""
        for name in ("context_length", "concurrency"):
            self.suggest(name, "auto")
        for name in ("engine", "quantization"):
            self.query_one(f"#{name}", Choice).tell_planned("")

    @on(Input.Changed)
    @on(Choice.Changed)
    def _changed(self, event: Input.Changed | Choice.Changed) -> None:
        event.stop()
        self.post_message(self.Changed())

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Entered())

    # --- fields ----------------------------------------------------------------------

    def _inputs(self, name: str) -> Iterator[Input]:
        yield from self.query(f"#{name}").results(Input)

    def _text(self, name: str) -> str:
        return next((one.value.strip() for one in self._inputs(name)), "")

    def _number(self, name: str) -> int | None:
        text = self._text(name)
        return int(text) if text.isdecimal() else None

    def _chosen(self, name: str) -> str | None:
        return self.query_one(f"#{name}", Choice).value if name in self._fields else None

    def _put(self, name: str, value: str | None) -> None:
        if name not in self._fields:
            return
        if name in _VALUES:
            self.query_one(f"#{name}", Choice).put(value)
        else:
            self.query_one(f"#{name}", Input).value = value or ""


def _input(name: str) -> Input:
    number = name in NUMBERS
    return Input(
        id=name,
        compact=True,
        restrict=r"[0-9]*" if number else None,
        max_length=9 if number else 0,
        placeholder=_PLACEHOLDERS.get(name, "auto" if number else ""),
    )
