"""A console on a box, driven by keys, and read as text."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from textual.pilot import Pilot
from textual.screen import Screen

from hydra_box.client import Client
from tui.console import Console
from tui.notebook import Notebook
from tui.session import StartWay

T = TypeVar("T")

SMALL = (80, 24)
LARGE = (140, 40)

TIMEOUT_SECONDS = 90.0


class Driven:
    """A console that runs without a terminal."""

    def __init__(self, console: Console, pilot: Pilot[None], heard: Sequence[str]) -> None:
        self.console = console
        self.pilot = pilot
        self.heard = heard
        """Every notice so far; on the screen each is for three seconds only."""

    @property
    def screen(self) -> Screen[object]:
        """What is on top."""
        return self.console.screen

    @property
    def text(self) -> str:
        """What a person would read now."""
        return screen_text(self.console)

    async def press(self, *keys: str) -> None:
        """Press keys, by Textual's names."""
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Type text, a character after the other."""
        names = {" ": "space", "\n": "enter", "-": "minus", ".": "full_stop", "/": "slash"}
        await self.pilot.press(*(names.get(one, one) for one in text))

    async def sees(self, *words: str) -> str:
        """The screen's text, once it has all the words."""
        return await self.until(
            lambda: self.text if all(word in self.text for word in words) else "",
            what=f"the screen shows {words}",
        )

    async def hears(self, words: str, *, times: int = 1) -> None:
        """Return once notices have said the words so many times."""
        await self.until(
            lambda: sum(words in one for one in self.heard) >= times,
            what=f"notices say {words!r}",
        )

    async def until(self, condition: Callable[[], T], *, what: str) -> T:
        """The first true value of the condition."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not (value := condition()):
            assert time.monotonic() < deadline, f"not in {TIMEOUT_SECONDS:g} s: {what}\n{self.text}"
            await self.pilot.pause(0.05)
        return value


@asynccontextmanager
async def console(
    connect: Callable[[], Client],
    directory: Path,
    *,
    size: tuple[int, int] = SMALL,
    start_ways: Sequence[StartWay] = (),
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Driven]:
    """A console that keeps its files in ``directory``."""
    app = Console(connect, notebook=Notebook(directory), start_ways=start_ways, clock=clock)
    heard: list[str] = []
    notify = app.notify

    def hear(message: str, **how: Any) -> None:
        heard.append(message)
        notify(message, **how)

    app.notify = hear  # type: ignore[method-assign]
    async with app.run_test(size=size) as pilot:
        yield Driven(app, pilot, heard)


def screen_text(app: Console) -> str:
    """Every line of the screen, as it is on the terminal now."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)
