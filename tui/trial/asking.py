"""The answers that are being written: one stream for each service that was asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from hydra_box.errors import HydraError
from tui.link import Link
from tui.trial.column import Column
from tui.trial.conversation import Answer, Problem
from tui.trial.listening import Listener, timed
from tui.trial.requests import Body


class Shown(Protocol):
    """What shows one answer."""

    def follow(self, listener: Listener) -> None:
        """Show what comes."""

    def settle(self, answer: Answer) -> None:
        """Show this, and nothing that comes later."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One service that has been asked and has not answered whole."""

    column: Column
    shown: Shown
    listener: Listener
    before: Answer | None
    """What it had answered to the same question."""


class Asking:
    """Asks, and tells of each answer once: when it is whole, broken off, or stopped."""

    def __init__(self, answered: Callable[[Answer], None]) -> None:
        self._answered = answered
        self._live: dict[str, Asked] = {}

    @property
    def busy(self) -> bool:
        """Whether an answer is being written."""
        return bool(self._live)

    def texts(self) -> dict[str, str]:
        """Access name to the answer so far."""
        return {name: asked.listener.text(ended=True)[1] for name, asked in self._live.items()}

    def begin(self, column: Column, shown: Shown, before: Answer | None = None) -> Asked:
        """From now on its answer is being written; ``ask`` is to be run next."""
        listener = Listener(column.access_name, column.context_length)
        asked = Asked(column=column, shown=shown, listener=listener, before=before)
        self._live[column.access_name] = asked
        shown.follow(listener)
        return asked

    async def ask(self, link: Link, asked: Asked, request: Callable[[], Awaitable[Body]]) -> None:
        """Send the request and listen to the end; cancelling ends the stream at once."""
        if not self._is_live(asked):
            return
        try:
            body = await request()
            async with link.stream(lambda box: timed(lambda: box.chat(body))) as items:
                async for at, chunk in items:
                    asked.listener.take(at, chunk)
        except HydraError as error:
            self._settle(asked, problem=Problem.of(error))
        else:
            self._settle(asked)

    def stop(self) -> None:
        """What has come is what the answers are; who runs ``ask`` is to cancel it."""
        for asked in tuple(self._live.values()):
            self._settle(asked, stopped=True)

    def _settle(
        self, asked: Asked, *, stopped: bool = False, problem: Problem | None = None
    ) -> None:
        if not self._is_live(asked):
            return
        del self._live[asked.column.access_name]
        answer = asked.listener.answer(stopped=stopped, problem=problem)
        before = asked.before
        if problem is not None and not answer.has_text and before is not None and before.has_text:
            # What came before the box was lost is worth more than nothing.
            answer = replace(before, problem=problem)
        asked.shown.settle(answer)
        self._answered(answer)

    def _is_live(self, asked: Asked) -> bool:
        return self._live.get(asked.column.access_name) is asked
