"""A process that looks at its machine whenever it is told to, over a fake NVML of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from hydra_box.types import Machine
from tests.fakes.nvml_machine import FakeNvml
from tests.machines import one_rtx_4090

_PROGRAM = """
import sys
from pathlib import Path
import msgspec
from hydra_box.hardware import Probe, snapshot
probe = Probe(Path("/"))
for line in sys.stdin.buffer:
    match line.strip():
        case b"look":
            machine = probe.look()
        case b"hurry":
            machine = snapshot(Path("/"), timeout_seconds=1.0)
        case _:
            machine = snapshot(Path("/"))
    sys.stdout.buffer.write(msgspec.json.encode(machine) + b"\\n")
    sys.stdout.buffer.flush()
"""


class Prober:
    """What the process finds: with a snapshot, or with the next look of one probe."""

    def __init__(self, directory: Path) -> None:
        self.nvml = FakeNvml(directory, one_rtx_4090())
        self._process = subprocess.Popen(
            (sys.executable, "-c", _PROGRAM),
            env={**os.environ, **self.nvml.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def snapshot(self, machine: Machine) -> Machine:
        """What a snapshot of the machine finds."""
        self.nvml.become(machine)
        return self.ask_snapshot()

    def look(self, machine: Machine) -> Machine:
        """What the probe finds once the machine is like this."""
        self.nvml.become(machine)
        return self.ask_look()

    def ask_snapshot(self) -> Machine:
        """What a snapshot finds now."""
        return self._ask(b"snapshot\n")

    def ask_in_a_hurry(self) -> Machine:
        """What a snapshot finds that does not wait long for a driver that hangs."""
        return self._ask(b"hurry\n")

    def ask_look(self) -> Machine:
        """What the probe finds now."""
        return self._ask(b"look\n")

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(timeout=30) == 0

    def _ask(self, what: bytes) -> Machine:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(what)
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=Machine)
