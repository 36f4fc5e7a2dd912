"""The settings of a conversation, checked while they are typed."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Label, Static, TextArea

from hydra_box.errors import InvalidRequest
from tui.trial.conversation import Settings
from tui.trial.typed_settings import TypedSettings


class TrialSettings(VerticalScroll, can_focus=False):
    """System prompt, temperature, top_p, longest answer; what is empty is the engine's own."""

    class Changed(Message):
        """They are other ones now."""

    def __init__(self) -> None:
        super().__init__(id="settings")
        self._context_length = 0

    def compose(self) -> ComposeResult:
        """A field each, and what is wrong."""
        yield Label("system prompt")
        yield TextArea(id="system", compact=True, highlight_cursor_line=False)
        for name, what in (
            ("temperature", "0 to 2"),
            ("top_p", "over 0, to 1"),
            ("max_tokens", "whole answer"),
        ):
            with Horizontal(classes="field"):
                yield Label(name.replace("_", " ").replace("top p", "top_p"))
                yield Input(id=name, placeholder=what, compact=True)
        yield Static(id="wrong")
        told = "Empty: the engine's own value.\nctrl+o: here, and back to typing."
        yield Static(told, classes="muted")

    def show(self, settings: Settings) -> None:
        """Have these in the fields."""
        self.query_one(TextArea).load_text(settings.system)
        for name in ("temperature", "top_p", "max_tokens"):
            value = getattr(settings, name)
            self.query_one(f"#{name}", Input).value = "" if value is None else str(value)

    def limit(self, context_length: int) -> None:
        """No answer is longer than the service's context."""
        if context_length != self._context_length:
            self._context_length = context_length
            self._look()

    def settings(self) -> Settings:
        """What is typed.

        Raises:
            InvalidRequest: a value is wrong; ``param`` is the id of its field.

        """
        return self._typed().settings(self._context_length)

    def first_wrong(self) -> None:
        """Put the keyboard where something is wrong, else at the start."""
        wrong = self.query("Input.-wrong")
        (wrong.first() if wrong else self.query_one(TextArea)).focus()

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _changed(self, event: Message) -> None:
        event.stop()
        self._look()
        self.post_message(self.Changed())

    def _typed(self) -> TypedSettings:
        return TypedSettings(
            system=self.query_one(TextArea).text,
            temperature=self.query_one("#temperature", Input).value,
            top_p=self.query_one("#top_p", Input).value,
            max_tokens=self.query_one("#max_tokens", Input).value,
        )

    def _look(self) -> None:
        wrong: dict[str, InvalidRequest] = self._typed().problems(self._context_length)
        for field in self.query(Input):
            field.set_class(field.id in wrong, "-wrong")
        text = "\n".join(f"✗ {error.message}\n  hint: {error.hint}" for error in wrong.values())
        self.query_one("#wrong", Static).update(Content.styled(text, "$text-error"))
        self.query_one("#wrong", Static).display = bool(wrong)
