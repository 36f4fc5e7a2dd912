"""What the tests of the trial share: a client whose answers come when the test says so."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from hydra_box.client import Client
from hydra_box.errors import DaemonUnreachable
from hydra_box.messages import BoxStatus, ServicesUpdate, ServiceView
from hydra_box.types import Modality
from tests.tui.harness import SMALL, Driven, console
from tui.screens.trial import TrialScreen
from tui.trial.conversation import Answer
from tui.widgets.trial_field import TrialField


class Gate:
    """Lets so many chunks of all answers through; open to begin with."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._left: int | None = None
        self._broken = False
        self._waiting = 0

    @property
    def holds(self) -> bool:
        """Whether a chunk waits at it: all that may pass have passed."""
        with self._changed:
            return self._waiting > 0

    def only(self, chunks: int) -> None:
        """Let this many more through, and then none."""
        with self._changed:
            self._left = chunks
            self._changed.notify_all()

    def open(self) -> None:
        """Let everything through."""
        with self._changed:
            self._left = None
            self._changed.notify_all()

    def break_off(self) -> None:
        """Lose what is still to come, as if it had not been sent before the daemon died."""
        with self._changed:
            self._broken = True
        self.open()

    def pass_one(self) -> None:
        """Wait for the gate."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: self._left is None or self._left > 0, timeout=60)
            self._waiting -= 1
            if self._broken:
                self._broken = False
                raise DaemonUnreachable("the connection to the box broke", hint="is it there?")
            if self._left is not None:
                self._left -= 1


class GatedClient(Client):
    """The real client, whose answers wait at a gate; services may be shown as what they are not."""

    def __init__(self, socket: Path, gate: Gate, modality: Modality | None) -> None:
        super().__init__(socket=socket)
        self._gate = gate
        self._modality = modality

    def status(self) -> BoxStatus:
        status = super().status()
        return replace(status, services=self._shown(status.services))

    def services_live(self) -> Iterator[ServicesUpdate]:
        for update in super().services_live():
            yield replace(update, changed=self._shown(update.changed))

    def _shown(self, views: tuple[ServiceView, ...]) -> tuple[ServiceView, ...]:
        if self._modality is None:
            return views
        return tuple(replace(view, modality=self._modality) for view in views)

    def chat(self, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for chunk in super().chat(body):
            self._gate.pass_one()
            yield chunk


class Trial:
    """A trial that is open, driven by keys."""

    def __init__(self, it: Driven, gate: Gate, screen: TrialScreen) -> None:
        self.it = it
        self.gate = gate
        self.screen = screen

    @property
    def field(self) -> TrialField:
        return self.screen.query_one(TrialField)

    @property
    def copied(self) -> str:
        return self.it.console.clipboard

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Those to the last question."""
        last = self.screen._conversation.last
        return last.answers if last is not None else ()

    async def ask(self, question: str) -> None:
        await self.it.type(question)
        await self.it.press("enter")

    async def answered(self, count: int = 1) -> tuple[Answer, ...]:
        """The answers to the last question, once there are so many and all are whole."""

        def whole() -> tuple[Answer, ...]:
            busy = self.screen._asking.busy or len(self.answers) < count
            return () if busy else self.answers

        return await self.it.until(whole, what="the question is answered")


@asynccontextmanager
async def open_trial(
    socket: Path,
    directory: Path,
    service_id: str,
    *,
    size: tuple[int, int] = SMALL,
    modality: Modality | None = None,
) -> AsyncIterator[Trial]:
    """A console with the trial of a service on top, ready to type."""
    gate = Gate()
    async with console(lambda: GatedClient(socket, gate, modality), directory, size=size) as it:
        try:
            screen = TrialScreen(service_id)
            await it.until(
                lambda: service_id in it.console.session.state.services, what="the service is known"
            )
            await it.console.push_screen(screen)
            await it.until(lambda: screen._restored, what="the trial is open")
            yield Trial(it, gate, screen)
        finally:
            gate.open()
