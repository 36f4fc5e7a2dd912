"""The installed program on a real terminal, typed at by a test."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil

from tests.boxes import PROGRAM
from tests.waiting import eventually

TIMEOUT_SECONDS = 120.0
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A program that runs on a pseudo-terminal."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self._process = process
        self._master = master
        self._unseen = ""

    def type(self, text: str) -> None:
        """Type something; ``\\x04`` is Ctrl-D."""
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C, once the program does nothing but wait.

        Python forgets a signal that comes just before it reads from a terminal, until it has read.
        """
        program = psutil.Process(self._process.pid)
        eventually(lambda: program.status() == psutil.STATUS_SLEEPING, what="it waits")
        self._process.send_signal(signal.SIGINT)

    def read_until(self, text: str) -> str:
        """What is on the screen, up to some text that must come; the rest is for the next call."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while text not in self._unseen:
            more = self._read(deadline - time.monotonic())
            assert more is not None, f"{text!r} did not come; the screen has {self._unseen!r}"
            self._unseen = _ESCAPES.sub("", self._unseen + more)
        seen, _, self._unseen = self._unseen.partition(text)
        return seen + text

    def finish(self) -> tuple[int, str]:
        """The exit status, and the rest of the screen."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while (more := self._read(deadline - time.monotonic())) is not None:
            self._unseen += more
        return self._process.wait(TIMEOUT_SECONDS), _ESCAPES.sub("", self._unseen)

    def _read(self, seconds: float) -> str | None:
        """The next part; None at the end, or when nothing comes."""
        ready, _, _ = select.select([self._master], [], [], max(0.0, seconds))
        if not ready:
            return None
        try:
            data = os.read(self._master, 65536)
        except OSError:
            # Linux says EIO when the last program has left the terminal.
            return None
        return data.decode(errors="replace") or None


@contextmanager
def on_a_terminal(environ: Mapping[str, str], *arguments: str) -> Iterator[Terminal]:
    """``hydra-box <arguments>`` on a terminal, for as long as the block runs."""
    master, slave = pty.openpty()
    try:
        process = subprocess.Popen(
            (PROGRAM, *arguments),
            env={**environ, "TERM": "xterm"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
    finally:
        os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(master)
