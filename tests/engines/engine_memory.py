"""What the bundled llama.cpp says that a model takes, beside what was predicted.

It is asked twice in one start: llama.cpp first plans the whole model without allocating anything
(``--fit on``), and says in MiB what it would take; then it loads it, and names every buffer.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hydra_box.engines.llama_cpp import LlamaCpp
from hydra_box.engines.llama_cpp_memory_log import BufferKind, buffers
from hydra_box.engines.llama_cpp_runtimes import find_bundled
from hydra_box.models.facts import read_facts
from hydra_box.plan.memory import estimate
from hydra_box.types import Accelerator, EngineName, EngineOptions, Launch

MIB = 1 << 20

_TRIED = re.compile(r"\| +- (?:Host|CPU_REPACK) +\| +(\d+) = +(\d+) \+ +(\d+) \+ +(\d+) ")
_TRIAL_ENDS = re.compile(r"fitting params to free memory took|failed to fit params")
_LOADED = re.compile(r"sched_reserve: .* compute buffer size = ")


@dataclass(frozen=True)
class Taken:
    """Bytes of one instance on the CPU: of weights, KV cache, and compute with its outputs."""

    weights: int
    cache: int
    compute: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.cache + self.compute


def predicted(model: Path, options: EngineOptions) -> Taken:
    """What the estimate says, without what the process takes of itself."""
    (memory,) = estimate(
        read_facts(model), EngineName.LLAMA_CPP, Accelerator.CPU, ("cpu",), options
    )
    return Taken(memory.weights_bytes, memory.kv_cache_bytes, memory.compute_bytes)


def tried(model: Path, options: EngineOptions, directory: Path) -> Taken:
    """What llama.cpp says it would take, cut to whole MiB; nothing is loaded."""
    return _tried(_log(model, options, directory, _TRIAL_ENDS))


def loaded(model: Path, options: EngineOptions, directory: Path) -> Taken:
    """What llama.cpp says it has taken, once it has loaded the model.

    The weights are those of the trial: a matrix that was repacked for the CPU is in the file's
    mapping and in a buffer, and is used from there alone.
    """
    log = _log(model, options, directory, _LOADED)
    found = buffers(log)

    def of(*kinds: BufferKind) -> int:
        return sum(one.size_bytes for one in found if one.kind in kinds)

    return Taken(
        weights=_tried(log).weights,
        cache=of(BufferKind.KV, BufferKind.RECURRENT),
        compute=of(BufferKind.COMPUTE, BufferKind.OUTPUT),
    )


def _tried(log: str) -> Taken:
    rows = [tuple(int(number) for number in match.groups()) for match in _TRIED.finditer(log)]
    assert rows, log
    return Taken(*(sum(row[part] for row in rows) * MIB for part in (1, 2, 3)))


def _log(model: Path, options: EngineOptions, directory: Path, end: re.Pattern[str]) -> str:
    """What the server prints, up to the line that is waited for."""
    lines = []
    with _printing(model, options, directory) as printed:
        for line in printed:
            lines.append(line)
            if end.search(line):
                return "".join(lines)
    raise AssertionError("".join(lines))


@contextmanager
def _printing(model: Path, options: EngineOptions, directory: Path) -> Iterator[Iterator[str]]:
    wanted = Launch(
        instance_id="measured-01234567",
        access_name="u-1100a15812cc/measured",
        model_path=str(model),
        socket_path=str(directory / "engine.sock"),
        device="cpu",
        options=options,
    )
    command = LlamaCpp().command(find_bundled()[0], wanted)
    argv = list(command.argv)
    argv[argv.index("--fit") + 1] = "on"
    process = subprocess.Popen(
        argv,
        env=command.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    try:
        yield iter(process.stdout)
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
        (directory / "engine.sock").unlink(missing_ok=True)
