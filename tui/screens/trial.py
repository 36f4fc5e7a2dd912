"""Trial: a chat with a service, and with others beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from msgspec.structs import replace
from textual import work
from textual.binding import Binding, BindingType

from hydra_box.errors import HydraError, InvalidRequest
from tui.screens.trial_chat import TrialChat
from tui.screens.trial_dialogs import ChatsDialog, CommandDialog, CompareDialog, PictureDialog
from tui.trial.conversation import Conversation, Problem, Turn
from tui.trial.requests import as_curl
from tui.widgets.trial_field import TrialField
from tui.widgets.trial_note import TrialNote
from tui.widgets.trial_settings import TrialSettings
from tui.widgets.trial_turns import TrialTurns

_PANEL_OPEN = "settings-open"


class TrialScreen(TrialChat):
    """Talks to one service; what was said and typed is kept."""

    TITLE_TEXT = "Trial"
    KEEPS_DIGITS = True

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "stop", "Stop", priority=True, tooltip="stop the answer; so does escape"),
        Binding("ctrl+y", "copy", "Copy", priority=True, tooltip="copy the last answer"),
        Binding("ctrl+r", "again", "Again", tooltip="ask the last question again"),
        Binding("ctrl+b", "edit", "Edit", tooltip="edit the last question"),
        Binding("ctrl+l", "clear", "start a new conversation", show=False),
        Binding("escape", "back", "Back", tooltip="stop, else back"),
        Binding("ctrl+n", "chats", "Chats", tooltip="earlier conversations"),
        Binding("ctrl+o", "settings", "Setup", tooltip="system prompt, settings"),
        Binding("ctrl+g", "compare", "Compare", tooltip="ask others the same"),
        Binding("f2", "curl", "curl", tooltip="the request as curl"),
        Binding("f1", "app.help", "Help", tooltip="these keys"),
        Binding("ctrl+f", "picture", "attach an image", show=False, priority=True),
        Binding("f3", "reasoning", "fold or unfold reasoning", show=False),
    ]

    def __init__(self, service_id: str = "") -> None:
        super().__init__(service_id)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what is being written can be stopped, and only what is not can be asked again."""
        if action == "stop":
            return self._asking.busy
        if action in ("again", "edit"):
            return not self._asking.busy
        return super().check_action(action, parameters)

    def action_back(self) -> None:
        """Stop, leave the edit, close the settings, or go back: whichever comes first."""
        if self._asking.busy:
            self._stop()
        elif self._before_edit is not None:
            self._take_picture(None)
            self._end_edit(self._before_edit)
        elif self.has_class(_PANEL_OPEN):
            self.action_settings()
        else:
            super().action_back()

    def action_stop(self) -> None:
        """End every answer; what has come stays."""
        self._stop()

    def action_again(self) -> None:
        """Ask the last question again."""
        if self._conversation.last is None:
            self._say("there is no question yet to ask again")
        elif not self._refused():
            self._ask_all(instead=True)

    def action_edit(self) -> None:
        """Take the last question up again, with its image."""
        last = self._conversation.last
        if last is None:
            self._say("there is no question yet to edit")
            return
        if self._before_edit is None:
            self._before_edit = self._draft
        self._take_picture_again(last)
        self.query_one(TrialNote).edit(editing=True)
        self.query_one(TrialField).put(last.prompt)
        self.query_one(TrialField).focus()

    def action_copy(self) -> None:
        """The last answers, as the models wrote them, also while they are being written."""
        last = self._conversation.last
        whole = {one.access_name: one.content for one in last.answers} if last else {}
        texts = {name: text for name, text in (whole | self._asking.texts()).items() if text}
        if not texts:
            self._say("there is no answer yet to copy")
            return
        text = _joined(texts)
        self.app.copy_to_clipboard(text)
        self.notify(f"Copied the last answer, {len(text):,} characters.", markup=False)

    def action_clear(self) -> None:
        """Start a new conversation; the one before is kept."""
        said = bool(self._conversation.turns)
        self._open(self._new())
        if said:
            self.notify("A new conversation; ctrl+n has the earlier ones.", markup=False)

    def action_chats(self) -> None:
        """Choose a conversation."""
        self._shelf = self._as_shelf()
        self.app.push_screen(
            ChatsDialog(self._shelf.conversations, opened=self._open_chosen, forgotten=self._forget)
        )

    def action_settings(self) -> None:
        """To the settings, and back."""
        opens = not self.has_class(_PANEL_OPEN)
        self.set_class(opens, _PANEL_OPEN)
        if opens:
            self.call_after_refresh(self.query_one(TrialSettings).first_wrong)
        else:
            self.query_one(TrialField).focus()

    def action_compare(self) -> None:
        """Choose who else is asked."""
        self.app.push_screen(
            CompareDialog(self._others(), self._conversation.beside, self._compare_with)
        )

    def action_picture(self) -> None:
        """Attach an image to the question."""
        column = next(iter(self._columns()), None)
        if column is None or not column.sees_images:
            name = column.name if column is not None else "this service"
            hint = "deploy a vision model to ask about images"
            self._say(f"{name} sees no images: its model takes text only", hint)
            return
        path = self._picture.path if self._picture is not None else ""
        self.app.push_screen(PictureDialog(path, self._take_picture))

    def action_curl(self) -> None:
        """The request that would be sent now, or was sent last, as a command."""
        turns = self._conversation.turns
        if self._draft.strip():
            kept = turns if self._before_edit is None else turns[:-1]
            turns = (*kept, Turn(prompt=self._draft.rstrip(), picture=self._picture))
        if not turns:
            self._say("there is no request yet: type a question first")
            return
        try:
            settings = self.query_one(TrialSettings).settings()
        except InvalidRequest as error:
            self._say(error.message, error.hint)
            return
        self._show_command(replace(self._conversation, turns=turns, settings=settings))

    def action_reasoning(self) -> None:
        """Fold or unfold the reasoning of the last answers."""
        last = self.query_one(TrialTurns).last
        for answer in last.answers if last is not None else ():
            answer.toggle_reasoning()

    @work(exclusive=True, group="command")
    async def _show_command(self, conversation: Conversation) -> None:
        columns = self._columns()
        if not columns:
            self._say("the service is not known yet", "it is once the box answers")
            return
        try:
            body = await self._request(columns[0], conversation)
        except HydraError as error:
            self._say(error.message, error.hint)
            return
        self.app.push_screen(CommandDialog(as_curl(self.session.url, body)))

    def _compare_with(self, service_ids: tuple[str, ...]) -> None:
        self._conversation = replace(self._conversation, beside=service_ids)
        self._look()

    def _open_chosen(self, conversation: Conversation | None) -> None:
        self._open(conversation or self._new())

    def _forget(self, id: str) -> None:
        if id == self._conversation.id:
            self._open(self._new())
        self._shelf = self._shelf.without(id)
        self._write(self._shelf)

    def _take_picture_again(self, turn: Turn) -> None:
        self._picture = turn.picture
        self.query_one(TrialNote).attach(turn.picture)

    def _say(self, fact: str, hint: str | None = None) -> None:
        self.query_one(TrialNote).refuse(Problem(fact=fact, hint=hint))


def _joined(texts: Mapping[str, str]) -> str:
    """One answer as it is, several under the names of who gave them."""
    if len(texts) == 1:
        return next(iter(texts.values()))
    return "\n\n".join(f"## {name}\n\n{text}" for name, text in texts.items())
