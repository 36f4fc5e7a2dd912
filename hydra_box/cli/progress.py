"""Progress of what takes a while: one updating line on a terminal, else a line a change."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import Self

import click

from hydra_box.cli.output import is_terminal, say
from hydra_box.shown.numbers import duration


class Progress:
    """Tells on stderr what is going on, with the seconds since it began."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._terminal = is_terminal(sys.stderr)
        self._last: str | None = None

    def show(self, text: str) -> None:
        """What is going on now; may be called as often as one likes."""
        if self._terminal:
            width = max(20, shutil.get_terminal_size().columns - 1)
            line = f"{text} ({self.seconds()})"[:width]
            click.echo(f"\r\x1b[K{line}", err=True, nl=False)
        elif text != self._last:
            say(f"{text} ({self.seconds()})")
        self._last = text

    def seconds(self) -> str:
        """How long it has taken so far."""
        return duration(time.monotonic() - self._started)

    def done(self, text: str | None = None) -> None:
        """The end; ``text`` stays on the screen in place of the last line."""
        if self._terminal and self._last is not None:
            click.echo("\r\x1b[K", err=True, nl=False)
        self._last = None
        if text:
            say(f"{text} ({self.seconds()})")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.done()
