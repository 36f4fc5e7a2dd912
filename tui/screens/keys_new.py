"""The form for a new key; everything typed stays until the key is made."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import ClassVar, Final

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Checkbox, Input

from hydra_box.errors import HydraError, InvalidRequest
from hydra_box.messages import CreatedKey, CreateKeyRequest
from hydra_box.shown.keys import quota
from tui.screens.base import Dialog
from tui.screens.keys_secret import SecretDialog
from tui.widgets.keys_draft import (
    LIMIT_FIELDS,
    NEVER,
    KeyDraft,
    one_line,
    read_draft,
    read_expiry,
    read_limit,
    read_models,
    read_name,
    read_quota,
    told_expiry,
)
from tui.widgets.keys_field import ExpiryField, KeyField, Note, ScopesField
from tui.widgets.keys_pane import told_matches

_LIMIT_TITLES: Final = {
    "requests_per_minute": "Requests/min",
    "tokens_per_minute": "Tokens/min",
    "concurrent_requests": "At once",
}
_PARAMS: Final = {"expires_at": "expires", "denied_models": "denied", "quota.tokens": "quota"}
"""What the box calls a field, where it is not called the same here."""


class NewKeyDialog(Dialog):
    """Enter makes the key; escape leaves, and what was typed is there the next time.

    Args:
        draft: what the form starts with.
        taken: names of keys that are not revoked.
        keep: gets the draft when the form is left.
        made: gets the key.

    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel")]

    def __init__(
        self,
        draft: KeyDraft,
        taken: Collection[str],
        *,
        keep: Callable[[KeyDraft], None],
        made: Callable[[CreatedKey], None],
    ) -> None:
        super().__init__()
        self._draft = draft
        self._taken = taken
        self._keep = keep
        self._made = made

    def compose(self) -> ComposeResult:
        """A field a line, then what is wrong with all of it."""
        draft = self._draft
        with Vertical(classes="dialog", id="new-key") as box:
            box.border_title = "New key"
            box.border_subtitle = "enter: create   tab: next field   escape: cancel"
            with VerticalScroll(id="fields", can_focus=False):
                yield KeyField("name", "Name", draft.name, placeholder="what will use it")
                yield ScopesField(draft.scopes)
                yield ExpiryField("expires", "Expires", draft.expires, placeholder=NEVER)
                yield KeyField("models", "Models", draft.models, placeholder="all")
                yield KeyField("denied", "Denied", draft.denied, placeholder="none")
                for field, title in _LIMIT_TITLES.items():
                    yield KeyField(field, title, getattr(draft, field), placeholder="no limit")
                yield KeyField("quota", "Quota", draft.quota, placeholder="no quota")
                yield Note(id="why")
            with Horizontal(classes="buttons"):
                yield Button("Create", id="create", variant="primary", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def on_mount(self) -> None:
        """Say what the values mean, and follow the services that the globs match."""
        self.session.services_changed.subscribe(self, lambda _: self._tell_globs())
        for field in ("expires", "models"):
            self._tell(field)
        self.query_one("#name", Input).focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._tell(event.input.id or "")

    @on(Checkbox.Changed)
    def _ticked(self) -> None:
        field = self.query_one(ScopesField)
        wrong = not field.scopes
        field.say("a key without a scope opens nothing" if wrong else "", wrong=wrong)

    @on(Input.Submitted)
    @on(Button.Pressed, "#create")
    def _submitted(self) -> None:
        read = read_draft(self._typed_draft(), self._taken, self.session.clock())
        if isinstance(read, CreateKeyRequest):
            self._create(read)
            return
        for field, problem in read.items():
            self._refuse(field, problem)
        first = next(iter(read))
        self.query_one("#scope-inference" if first == "scopes" else f"#{first}").focus()

    @on(Button.Pressed, "#cancel")
    def action_leave(self) -> None:
        """Leave; the draft stays."""
        if self.query_one("#create", Button).disabled:
            # Its secret comes with the answer, and would be lost.
            return
        self._keep(self._typed_draft())
        self.dismiss()

    def action_expiry(self, preset: str) -> None:
        """Take a span that was clicked."""
        field = self.query_one(ExpiryField)
        field.input.value = preset
        field.input.focus()

    @work(exclusive=True, group="create")
    async def _create(self, request: CreateKeyRequest) -> None:
        self._explain("creating the key ...")
        self.query_one("#create", Button).disabled = True
        try:
            created = await self.session.link.call(lambda box: box.create_key(request))
        except HydraError as error:
            self._show(error)
            return
        finally:
            self.query_one("#create", Button).disabled = False
        self._made(created)
        self._keep(KeyDraft())
        # The command palette may be open above the form; it must not swallow the secret.
        show = self.app.switch_screen if self.is_current else self.app.push_screen
        show(SecretDialog(created))

    def _show(self, error: HydraError) -> None:
        """Beside the field that the box names, else below all of them."""
        param = (error.param or "").removeprefix("limits.")
        field = _PARAMS.get(param, param)
        if isinstance(error, InvalidRequest) and self.query(f"#field-{field or 'none'}"):
            self._explain("")
            self._refuse(field, one_line(error))
        else:
            self._explain(str(error), wrong=True)

    def _typed_draft(self) -> KeyDraft:
        typed = {field.field: field.input.value for field in self.query(KeyField)}
        return KeyDraft(scopes=self.query_one(ScopesField).scopes, **typed)

    def _tell_globs(self) -> None:
        for field in ("models", "denied"):
            self._tell(field)

    def _tell(self, field: str) -> None:
        """What the value of a field means now, or what is wrong with it."""
        value = self.query_one(f"#{field}", Input).value
        try:
            note = self._note(field, value)
        except InvalidRequest as error:
            self._refuse(field, one_line(error))
        else:
            self.query_one(f"#field-{field}", KeyField).say(note)

    def _note(self, field: str, value: str) -> str:
        now = self.session.clock()
        if field == "name":
            read_name(value, self._taken)
        elif field == "expires":
            return told_expiry(read_expiry(value, now), now)
        elif field in LIMIT_FIELDS:
            read_limit(value)
        elif field == "quota":
            return self._note_of_quota(value)
        elif globs := read_models(value):
            return told_matches(globs, self.session.state.services.values())
        elif field == "models":
            return "every service; or globs of access names: public/*, */demo"
        return ""

    def _note_of_quota(self, value: str) -> str:
        of = read_quota(value)
        return f"{quota(of)}, of public services" if of else ""

    def _refuse(self, field: str, problem: str) -> None:
        if field == "scopes":
            self.query_one(ScopesField).say(problem, wrong=True)
        else:
            self.query_one(f"#field-{field}", KeyField).say(problem, wrong=True)

    def _explain(self, text: str, *, wrong: bool = False) -> None:
        self.query_one("#why", Note).say(text, wrong=wrong)
