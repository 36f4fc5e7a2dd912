"""A clock that a test sets, of one daemon and nobody else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("clock_shift.c")
LONG_BYTES = 8


class ShiftedClock:
    """The wall clock of whoever is started with ``environ``; it goes right at first."""

    def __init__(self, directory: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            pytest.skip("the clock of a process cannot be moved here: there is no C compiler")
        library = directory / "clock_shift.so"
        command = (compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl")
        subprocess.run(command, check=True)
        self._file = directory / "clock_shift"
        self._file.write_bytes(bytes(LONG_BYTES))
        self.environ = {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(self._file)}

    def set(self, seconds: int) -> None:
        """Have it go so many seconds ahead of the real one."""
        # In place: whoever has the file mapped sees it at once.
        with self._file.open("r+b") as file:
            os.pwrite(file.fileno(), seconds.to_bytes(LONG_BYTES, "little", signed=True), 0)
