"""The installed ``hydra-box`` in a real terminal: typed at and read through tmux."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

WAIT_SECONDS = 90.0
LOOK_SECONDS = 0.05
ESCAPE_SECONDS = 0.3


class Terminal:
    """One session of a tmux server of its own."""

    def __init__(self, server: str, size: tuple[int, int]) -> None:
        self._server = server
        self.size = size

    @property
    def text(self) -> str:
        """What a person would read now."""
        return self._tmux("capture-pane", "-p")

    @property
    def ansi(self) -> str:
        """The same, with its colours."""
        return self._tmux("capture-pane", "-p", "-e", "-N")

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names: ``Enter``, ``Escape``, ``C-d``, ``x``."""
        self._tmux("send-keys", *keys)
        if keys[-1] == "Escape":
            # With a key close behind it, it would be the start of Alt and that key.
            time.sleep(ESCAPE_SECONDS)

    def type(self, text: str) -> None:
        """Type text as it is."""
        self._tmux("send-keys", "-l", text)

    def sees(self, *words: str, gone: Sequence[str] = ()) -> str:
        """The screen, once it has all the words and none of those that must go.

        Raises:
            AssertionError: it took too long; has the screen.

        """
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            text = self.text
            if all(one in text for one in words) and not any(one in text for one in gone):
                return text
            if time.monotonic() > deadline:
                raise AssertionError(f"not in {WAIT_SECONDS:g} s: {words}, without {gone}\n{text}")
            time.sleep(LOOK_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether the program still runs."""
        command = ("tmux", "-L", self._server, "has-session")
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ("tmux", "-L", self._server, *words), capture_output=True, text=True, check=True
        )
        return done.stdout


@contextmanager
def in_tmux(
    command: Sequence[str], environ: Mapping[str, str], *, size: tuple[int, int], name: str
) -> Iterator[Terminal]:
    """A command in a terminal of so many columns and lines, for as long as the block runs."""
    server = f"hydra-box-{name}-{os.getpid()}"
    width, height = map(str, size)
    settings = [word for each in environ.items() for word in ("-e", "=".join(each))]
    start = ("new-session", "-d", "-x", width, "-y", height, *settings, shlex.join(command))
    subprocess.run(
        ("tmux", "-L", server, "-f", "/dev/null", *start),
        check=True,
        env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
    )
    try:
        subprocess.run(
            ("tmux", "-L", server, "set", "-g", "escape-time", "0"), check=False, timeout=10
        )
        yield Terminal(server, size)
    finally:
        subprocess.run(("tmux", "-L", server, "kill-server"), capture_output=True, check=False)
