"""The chat of the trial: what is said, sent, answered and kept. Keys and boxes are in ``trial``."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from functools import partial

from msgspec.structs import replace
from textual import on, work
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import TextArea

from hydra_box.errors import HydraError, InvalidRequest
from hydra_box.messages import ServiceView
from hydra_box.types import ServiceStatus
from tui.screens.base import BoxScreen
from tui.trial.asking import Asked, Asking
from tui.trial.column import Column
from tui.trial.conversation import Answer, Conversation, Picture, Problem, Turn
from tui.trial.history import Keeper, Shelf
from tui.trial.pictures import Pictures
from tui.trial.requests import Body, chat_body
from tui.trial.standing import CHATS, Standing, standing
from tui.widgets.trial_answer import TrialAnswer
from tui.widgets.trial_field import TrialField
from tui.widgets.trial_line import TrialLine
from tui.widgets.trial_note import TrialNote
from tui.widgets.trial_settings import TrialSettings
from tui.widgets.trial_turns import TrialTurns, answer_widget

_ANSWERS = "answers"
"""The group of the workers that listen to answers."""


class TrialChat(BoxScreen):
    """One conversation at a time, with one service and perhaps others beside it."""

    def __init__(self, service_id: str) -> None:
        super().__init__()
        self._service_id = service_id
        self._last_view: ServiceView | None = None
        """As it last was; the service may be gone."""
        self._shelf = Shelf()
        self._conversation = Conversation(id="", started_at=0.0)
        self._asking = Asking(self._answered)
        self._pictures = Pictures()
        self._picture: Picture | None = None
        self._draft = ""
        self._before_edit: str | None = None
        """What was typed when the last question was taken up again; None: it was not."""
        self._restored = False
        self._sends_when_restored = False
        self._leaving = False

    def content(self) -> Iterator[Widget]:
        """The service, the conversation beside its settings, the question."""
        yield TrialLine()
        with Horizontal(id="body"):
            yield TrialTurns()
            yield TrialSettings()
        yield TrialNote()
        yield TrialField()

    def on_mount(self) -> None:
        """Take up the conversation where it was left."""
        self._keeper = Keeper(self.session.notebook, self._service_id)
        self.session.services_changed.subscribe(self, lambda _: self._look())
        self.session.link_changed.subscribe(self, lambda _: self._look())
        self._look()
        self.query_one(TrialField).focus()
        self._restore()

    def on_screen_resume(self) -> None:
        """What happened while another screen was on top."""
        self._look()

    def on_unmount(self) -> None:
        """Keep what was said and typed."""
        self._leaving = True
        self._asking.stop()
        if self._restored:
            with contextlib.suppress(OSError):
                self._keeper.writer(self._as_shelf())()

    # --- whom one talks to -------------------------------------------------------------

    def _look(self) -> None:
        if not self.is_current:
            return
        view = self._last_view = self._view() or self._last_view
        beside = self._beside()
        self.set_class(bool(beside), "comparing")
        self.query_one(TrialLine).show(view, self._standing(), beside)
        if view is not None:
            self.query_one(TrialSettings).limit(view.context_length)

    def _view(self) -> ServiceView | None:
        return self.session.state.services.get(self._service_id)

    def _standing(self) -> Standing:
        name = self._last_view.name if self._last_view is not None else "this service"
        return standing(self._view(), name, connected=self.session.state.ever_connected)

    def _beside(self) -> list[ServiceView]:
        services = self.session.state.services
        return [services[one] for one in self._conversation.beside if one in services]

    def _others(self) -> list[ServiceView]:
        """Services that it can be compared with."""
        return [
            view
            for view in self.session.state.by_name()
            if view.status is ServiceStatus.RUNNING
            and view.modality in CHATS
            and view.id != self._service_id
        ]

    def _columns(self) -> list[Column]:
        own = [self._last_view] if self._last_view is not None else []
        return [Column.of(view) for view in (*own, *self._beside())]

    # --- asking and being answered -----------------------------------------------------

    @on(TrialField.Sent)
    def _sent(self) -> None:
        if not self._restored:
            # A fast hand has typed and sent before the conversation is open.
            self._sends_when_restored = True
            return
        text = self.query_one(TrialField).text.rstrip()
        if not text.strip() or self._refused():
            return
        editing = self._before_edit is not None
        turn = Turn(prompt=text, picture=self._picture)
        if editing:
            self._conversation = self._conversation.with_last(turn)
        else:
            self._conversation = self._conversation.with_turn(turn)
        self._take_picture(None)
        self._end_edit("")
        self._ask_all(instead=editing)

    def _refused(self) -> bool:
        """Whether nothing can be sent now; says why."""
        problem = self._obstacle()
        self.query_one(TrialNote).refuse(problem)
        return problem is not None

    def _obstacle(self) -> Problem | None:
        if not self._restored:
            return Problem(fact="the conversation is still being opened")
        if self._asking.busy:
            return Problem(fact="the last question is still being answered", hint="escape stops it")
        if (problem := self._standing().problem) is not None:
            return replace(problem, fact=f"not sent: {problem.fact}")
        try:
            self.query_one(TrialSettings).settings()
        except InvalidRequest as error:
            return Problem(fact=f"not sent: {error.message}", hint=f"{error.hint}; ctrl+o: setup")
        return None

    def _ask_all(self, *, instead: bool) -> None:
        """Have the last turn answered: by all, or by those only that have failed to."""
        turn = self._conversation.turns[-1]
        before = {one.access_name: one for one in turn.answers}
        kept = {name: one for name, one in before.items() if one.problem is None}
        if len(kept) == len(before):
            kept = {}
        columns = self._columns()
        widgets: list[TrialAnswer] = []
        asked: list[Asked] = []
        for column in columns:
            name = column.access_name
            if name in kept:
                widgets.append(answer_widget(kept[name], turn))
            else:
                widgets.append(TrialAnswer(name, named=len(columns) > 1))
                asked.append(self._asking.begin(column, widgets[-1], before.get(name)))
        kept_answers = tuple(kept[one.access_name] for one in columns if one.access_name in kept)
        self._conversation = self._conversation.with_last(replace(turn, answers=kept_answers))
        self.query_one(TrialField).remember(self._conversation.prompts)
        self.refresh_bindings()
        self._show_and_ask(widgets, asked, instead)

    @work(group="turns")
    async def _show_and_ask(
        self, widgets: Sequence[TrialAnswer], asked: Sequence[Asked], instead: bool
    ) -> None:
        turn = self._conversation.turns[-1]
        turns = self.query_one(TrialTurns)
        await turns.add(turn, widgets, instead=instead)
        turns.follow()
        for one in asked:
            request = partial(self._request, one.column, self._conversation)
            self.run_worker(self._asking.ask(self.session.link, one, request), group=_ANSWERS)

    async def _request(self, column: Column, conversation: Conversation) -> Body:
        column.check(conversation.turns[-1])
        urls = {}
        if column.sees_images:
            urls = dict(await self._pictures.urls(self.session.link, conversation.turns))
        return chat_body(column.access_name, conversation.settings, conversation.turns, urls)

    def _answered(self, answer: Answer) -> None:
        turn = self._conversation.turns[-1].with_answer(answer)
        order = {column.access_name: at for at, column in enumerate(self._columns())}
        answers = sorted(turn.answers, key=lambda one: order.get(one.access_name, len(order)))
        self._conversation = self._conversation.with_last(replace(turn, answers=tuple(answers)))
        if not self._leaving and not self._asking.busy:
            self.refresh_bindings()
            self._keep()

    def _stop(self) -> None:
        self._asking.stop()
        self.workers.cancel_group(self, _ANSWERS)

    # --- the question that is being typed ----------------------------------------------

    @on(TextArea.Changed, "#field")
    def _typed(self, event: TextArea.Changed) -> None:
        self.query_one(TrialTurns).typed()
        self._draft = event.text_area.text
        self.query_one(TrialNote).refuse(None)

    @on(TrialField.Scrolled)
    def _scrolled(self, event: TrialField.Scrolled) -> None:
        self.query_one(TrialTurns).page(event.pages)

    @on(TrialSettings.Changed)
    def _settings_changed(self) -> None:
        # What is wrong is told beside its field, and asks for nothing until it is right.
        with contextlib.suppress(InvalidRequest):
            settings = self.query_one(TrialSettings).settings()
            self._conversation = replace(self._conversation, settings=settings)
            self.query_one(TrialNote).refuse(None)

    def _take_picture(self, picture: Picture | None, url: str = "") -> None:
        if picture is not None:
            self._pictures.put(picture, url)
        self._picture = picture
        self.query_one(TrialNote).attach(picture)

    def _end_edit(self, text: str) -> None:
        self._before_edit = None
        self.query_one(TrialNote).edit(editing=False)
        self.query_one(TrialField).put(text)

    # --- what is kept ------------------------------------------------------------------

    @work(group="restore")
    async def _restore(self) -> None:
        self._shelf = await self.session.link.run(self._keeper.read)
        field = self.query_one(TrialField)
        if not field.text:
            field.put(self._shelf.draft)
        self._conversation = replace(self._conversation, settings=self._shelf.settings)
        await self._show(self._shelf.open() or self._new())
        self._restored = True
        if self._sends_when_restored:
            self._sent()

    def _open(self, conversation: Conversation) -> None:
        """Have this conversation on the screen, in place of what is there."""
        self._stop()
        self._end_edit(self._draft if self._before_edit is None else self._before_edit)
        self._shelf = self._as_shelf()
        self._show_other(conversation)

    @work(group="turns")
    async def _show_other(self, conversation: Conversation) -> None:
        await self._show(conversation)
        self._keep()

    async def _show(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self.query_one(TrialSettings).show(conversation.settings)
        self.query_one(TrialField).remember(conversation.prompts)
        self._look()
        await self.query_one(TrialTurns).show(conversation)

    def _new(self) -> Conversation:
        """Nothing said yet, with what is set up now."""
        now = self.session.clock()
        return replace(self._conversation, id=secrets.token_hex(4), started_at=now, turns=())

    def _as_shelf(self) -> Shelf:
        draft = self._draft if self._before_edit is None else self._before_edit
        return replace(self._shelf.put(self._conversation), draft=draft)

    def _keep(self) -> None:
        self._shelf = self._as_shelf()
        self._write(self._shelf)

    @work(group="keep")
    async def _write(self, shelf: Shelf) -> None:
        try:
            await self.session.link.run(self._keeper.writer(shelf))
        except OSError as error:
            self.tell(HydraError(f"the conversation cannot be kept: {error}"))
