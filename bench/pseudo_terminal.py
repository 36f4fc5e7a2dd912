"""The installed ``hydra-box`` on a pseudo-terminal, and how soon a key shows on its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tests.boxes import PROGRAM

LONGEST_SECONDS = 10.0


class Screen:
    """What the program writes, read as it comes."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.pid = process.pid
        self._master = master
        self._came = threading.Condition()
        self._output = bytearray()
        threading.Thread(target=self._read, daemon=True).start()

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def wait_for(self, text: str) -> None:
        """Until some text has been written."""
        self._wait(text.encode(), 0)

    def seconds_to_show(self, char: str) -> float:
        """From a key press to its character on the screen; nothing else may write that one."""
        with self._came:
            start = len(self._output)
        began = time.perf_counter()
        self.press(char)
        self._wait(char.encode(), start)
        return time.perf_counter() - began

    def written_bytes(self) -> int:
        """How much the program has written so far."""
        with self._came:
            return len(self._output)

    def _wait(self, text: bytes, start: int) -> None:
        with self._came:
            came = self._came.wait_for(lambda: self._output.find(text, start) >= 0, LONGEST_SECONDS)
            assert came, f"{text!r} did not come in {LONGEST_SECONDS:g} s"

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:
                return
            with self._came:
                self._output += data
                self._came.notify_all()


@contextmanager
def on_a_terminal(
    arguments: Sequence[str], environ: Mapping[str, str], size: tuple[int, int]
) -> Iterator[Screen]:
    """``hydra-box <arguments>`` on a terminal of so many columns and lines."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    process = subprocess.Popen(
        (str(PROGRAM), *arguments),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environ},
    )
    os.close(slave)
    try:
        yield Screen(process, master)
    finally:
        process.terminate()
        process.wait()
        os.close(master)
