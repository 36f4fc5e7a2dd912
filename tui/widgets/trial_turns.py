"""The conversation, from the first question to the last answer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import ClassVar, Final

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from tui.seen import is_seen
from tui.trial.conversation import Answer, Conversation, Turn
from tui.widgets.trial_answer import TrialAnswer
from tui.widgets.trial_turn import TrialTurn

_FASTEST_SECONDS: Final = 1 / 12
"""Between two drawings: more of them read no better."""
_SLOWEST_SECONDS: Final = 1.0
_TYPING_SECONDS: Final = 1.0
"""How long after a key press somebody counts as typing."""

_NOTHING: Final = (
    "Nothing has been said yet. What is asked goes the way of an app's request, and "
    "is measured: tokens, time to first token (TTFT), tokens/s, context used."
)


class TrialTurns(VerticalScroll):
    """Stays at its end while it grows, unless somebody scrolls up."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False),
        Binding("k", "scroll_up", "Up", show=False),
        Binding("g", "scroll_home", "First", show=False),
        Binding("G", "scroll_end", "Last", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="turns")
        self._typed_at = 0.0

    @property
    def last(self) -> TrialTurn | None:
        """The last turn."""
        turns = self.query(TrialTurn)
        return turns.last() if turns else None

    def typed(self) -> None:
        """A key was pressed in the field below."""
        self._typed_at = time.monotonic()

    async def show(self, conversation: Conversation) -> None:
        """Have exactly this conversation."""
        await self.remove_children()
        if conversation.turns:
            await self.mount_all(
                TrialTurn(turn, [answer_widget(one, turn) for one in turn.answers])
                for turn in conversation.turns
            )
        else:
            await self.mount(Static(_NOTHING, id="nothing", classes="muted"))
        self.anchor()

    async def add(self, turn: Turn, answers: Sequence[TrialAnswer], *, instead: bool) -> None:
        """A turn at the end; ``instead``: of the one that is there."""
        with self.app.batch_update():
            await self.query("#nothing").remove()
            if instead and (last := self.last) is not None:
                await last.remove()
            await self.mount(TrialTurn(turn, answers))
        self.anchor()

    @work(exclusive=True, group="follow")
    async def follow(self) -> None:
        """Draw the last turn's answers, all at once, until each is whole.

        At most a third of the time goes into drawing, and a ninth while somebody types: long
        answers side by side are drawn less often, and keys work as ever.
        """
        while self.last is not None and (live := [one for one in self.last.answers if one.is_live]):
            begun = time.monotonic()
            if is_seen(self.screen):
                with self.app.batch_update():
                    for answer in live:
                        await answer.draw()
                await self._refreshed()
            spent = time.monotonic() - begun
            share = 8 if time.monotonic() - self._typed_at < _TYPING_SECONDS else 2
            await asyncio.sleep(max(_FASTEST_SECONDS, min(share * spent, _SLOWEST_SECONDS)))

    async def _refreshed(self) -> None:
        """Until what has changed is on the screen."""
        done = asyncio.Event()
        self.call_after_refresh(done.set)
        # A screen that is not on top is not drawn.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SLOWEST_SECONDS):
                await done.wait()

    def page(self, pages: int) -> None:
        """Scroll by so many pages."""
        if not self.max_scroll_y:
            return
        if pages < 0:
            self.scroll_page_up()
        else:
            self.scroll_page_down()


def answer_widget(answer: Answer, turn: Turn) -> TrialAnswer:
    """An answer that is whole."""
    return TrialAnswer(answer.access_name, named=len(turn.answers) > 1, answer=answer)
