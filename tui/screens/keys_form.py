"""The form for a key: what a new one and one that is edited have in common."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar, Final

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Checkbox, Input

from hydra_box.errors import HydraError, InvalidRequest
from hydra_box.shown.keys import quota
from tui.screens.base import Dialog
from tui.widgets.keys_draft import KeyDraft
from tui.widgets.keys_field import ExpiryField, KeyField, Note, ScopesField
from tui.widgets.keys_pane import told_matches
from tui.widgets.keys_values import (
    LIMIT_FIELDS,
    NEVER,
    one_line,
    read_expiry,
    read_limit,
    read_models,
    read_name,
    read_quota,
    told_expiry,
)

LIMIT_TITLES: Final = {
    "requests_per_minute": "Requests/min",
    "tokens_per_minute": "Tokens/min",
    "concurrent_requests": "At once",
}
_PARAMS: Final = {"expires_at": "expires", "denied_models": "denied", "quota.tokens": "quota"}
"""What the box calls a field, where it is not called the same here."""


class KeyForm(Dialog):
    """A field a line, each with what its value means; Enter sends all of it.

    Args:
        draft: what the form starts with.
        taken: names that the key cannot have.

    """

    DO: ClassVar[str] = ""
    """On the button."""
    DOING: ClassVar[str] = ""
    """Said while the box does it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel")]

    def __init__(self, draft: KeyDraft, taken: Collection[str]) -> None:
        super().__init__()
        self.draft = draft
        self.taken = taken

    # --- what a subclass says ---------------------------------------------------------

    def heading(self) -> str:
        """Above the form."""
        raise NotImplementedError

    def read(self) -> Any:
        """The request that is typed; a dict: what is wrong, by field."""
        raise NotImplementedError

    async def send(self, request: Any) -> None:
        """Have the box do it, and leave the form.

        Raises:
            HydraError: it is shown, and the form stays as it is.

        """
        raise NotImplementedError

    def left(self) -> None:
        """The form is left, and nothing was done."""

    # --- widgets ----------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """The fields, then what is wrong with all of it."""
        with Vertical(classes="dialog", id="key-form") as box:
            box.border_title = Content(self.heading())
            box.border_subtitle = f"enter: {self.DO.lower()}   tab: next field   escape: cancel"
            with VerticalScroll(id="fields", can_focus=False):
                yield from self.fields()
                yield Note(id="why")
            with Horizontal(classes="buttons"):
                yield Button(self.DO, id="do", variant="primary", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def fields(self) -> ComposeResult:
        """A line each."""
        draft = self.draft
        yield KeyField("name", "Name", draft.name, placeholder="what will use it")
        yield ScopesField(draft.scopes)
        yield ExpiryField("expires", "Expires", draft.expires, placeholder=NEVER)
        yield KeyField("models", "Models", draft.models, placeholder="all")
        yield KeyField("denied", "Denied", draft.denied, placeholder="none")
        for field, title in LIMIT_TITLES.items():
            yield KeyField(field, title, getattr(draft, field), placeholder="no limit")
        yield KeyField("quota", "Quota", draft.quota, placeholder="no quota")

    @property
    def typed(self) -> KeyDraft:
        """What the form says now."""
        typed = {field.field: field.input.value for field in self.query(KeyField)}
        scopes = self.query_one(ScopesField).scopes
        return msgspec.structs.replace(self.draft, scopes=scopes, **typed)

    def on_mount(self) -> None:
        """Say what the values mean, and follow the services that the globs match."""
        self.session.services_changed.subscribe(self, lambda _: self._tell_globs())
        for field in ("expires", "models", "denied", "quota"):
            self._tell(field)
        self.query_one("#name", Input).focus()

    # --- keys -------------------------------------------------------------------------

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._tell(event.input.id or "")

    @on(Checkbox.Changed)
    def _ticked(self) -> None:
        field = self.query_one(ScopesField)
        wrong = not field.scopes
        field.say("a key without a scope opens nothing" if wrong else "", wrong=wrong)

    @on(Input.Submitted)
    @on(Button.Pressed, "#do")
    def _submitted(self) -> None:
        read = self.read()
        if not isinstance(read, dict):
            self._send(read)
            return
        for field, problem in read.items():
            self._refuse(field, problem)
        first = next(iter(read))
        self.query_one("#scope-inference" if first == "scopes" else f"#{first}").focus()

    @on(Button.Pressed, "#cancel")
    def action_leave(self) -> None:
        """Leave, unless the box is at it: what comes with its answer must be seen."""
        if not self.query_one("#do", Button).disabled:
            self.left()
            self.dismiss()

    def action_expiry(self, preset: str) -> None:
        """Take a span that was clicked."""
        field = self.query_one(ExpiryField)
        field.input.value = preset
        field.input.focus()

    @work(exclusive=True, group="send")
    async def _send(self, request: Any) -> None:
        self._explain(self.DOING)
        button = self.query_one("#do", Button)
        button.disabled = True
        try:
            await self.send(request)
        except HydraError as error:
            self._show(error)
        finally:
            button.disabled = False

    # --- what is told -------------------------------------------------------------------

    def note(self, field: str, value: str) -> str:
        """What a value means.

        Raises:
            InvalidRequest: it is wrong.

        """
        now = self.session.clock()
        if field == "name":
            read_name(value, self.taken)
        elif field == "expires":
            return told_expiry(read_expiry(value, now), now)
        elif field in LIMIT_FIELDS:
            read_limit(value)
        elif field == "quota":
            of = read_quota(value)
            return f"{quota(of)}, of public services" if of else ""
        elif field in ("models", "denied") and (globs := read_models(value)):
            return told_matches(globs, self.session.state.services.values())
        elif field == "models":
            return "every service; or globs of access names: public/*, */demo"
        return ""

    def _tell_globs(self) -> None:
        for field in ("models", "denied"):
            self._tell(field)

    def _tell(self, field: str) -> None:
        """What the value of a field means now, or what is wrong with it."""
        try:
            note = self.note(field, self.query_one(f"#{field}", Input).value)
        except InvalidRequest as error:
            self._refuse(field, one_line(error))
        else:
            self.query_one(f"#field-{field}", KeyField).say(note)

    def _show(self, error: HydraError) -> None:
        """Beside the field that the box names, else below all of them."""
        param = (error.param or "").removeprefix("limits.")
        field = _PARAMS.get(param, param)
        if self.query(f"#field-{field or 'none'}"):
            self._explain("")
            self._refuse(field, one_line(error))
        else:
            self._explain(str(error), wrong=True)

    def _refuse(self, field: str, problem: str) -> None:
        if field == "scopes":
            self.query_one(ScopesField).say(problem, wrong=True)
        else:
            self.query_one(f"#field-{field}", KeyField).say(problem, wrong=True)

    def _explain(self, text: str, *, wrong: bool = False) -> None:
        self.query_one("#why", Note).say(text, wrong=wrong)
