"""What every engine adapter answers; the supervisor and the gateway know engines only by this."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from hydra_box.engines.counts import RunningCounts
from hydra_box.engines.metrics import EngineMetrics
from hydra_box.errors import HydraError
from hydra_box.types import (
    Accelerator,
    EngineName,
    EngineOptions,
    ExitExplanation,
    Frozen,
    Launch,
    ModelFacts,
    ProcessExit,
    Runtime,
    WeightFormat,
)


class Command(Frozen, frozen=True, kw_only=True):
    """A program to start: no shell, and only the environment that is named here."""

    argv: tuple[str, ...]
    env: dict[str, str]


class MemoryReport(Frozen, frozen=True, kw_only=True):
    """What an engine says of its own memory, on all devices together."""

    total_bytes: int
    """Each weight once."""
    twice_bytes: int = 0
    """Weights that it keeps in another order than the file, whose pages the kernel may keep too,
    until it needs the room."""


class Dialect(Protocol):
    """How whoever answers a request speaks: an engine here, or an upstream."""

    @property
    def counts(self) -> RunningCounts | None:
        """How it is made to count while it generates; None: it counts at the end only."""
        ...

    def translate_error(self, status: int, body: bytes, headers: Mapping[str, str]) -> HydraError:
        """An engine's error answer (status 400 and up) as one of ours.

        The same fault reads the same from every engine, and nothing internal shows.
        """
        ...


class Engine(Dialect, Protocol):
    """One engine: how to start it, how to know that it serves, what its words mean."""

    @property
    def name(self) -> EngineName:
        """Its name, as users write it."""
        ...

    @property
    def format(self) -> WeightFormat:
        """The weights that it reads; its runtimes are verified on the demo model in this format."""
        ...

    def trial_options(self, accelerator: Accelerator) -> EngineOptions:
        """The small options that a runtime is verified with."""
        ...

    def flags(
        self, options: EngineOptions, accelerator: Accelerator, facts: ModelFacts
    ) -> tuple[str, ...]:
        """The command line that ``command`` uses, without program, model, names and socket."""
        ...

    def command(self, runtime: Runtime, launch: Launch) -> Command:
        """The program that serves ``launch`` on its UNIX socket.

        Raises:
            InvalidModel: the model's files cannot be read.
            NotFound: they are not there.

        """
        ...

    async def probe(self, socket_path: Path, access_name: str) -> bool:
        """True once a real one-token request was answered; False while it is still loading.

        Raises:
            EngineError: it answered, and wrongly: it will never be ready.

        """
        ...

    def explain_exit(self, exit: ProcessExit, log_tail: str) -> ExitExplanation:
        """Why the process ended, from the last lines of its log."""
        ...

    def progress(self, log_tail: str) -> str | None:
        """What a loading engine is doing, in a few words for people."""
        ...

    def report(self, log: str) -> MemoryReport | None:
        """What it says in its log that it allocated: weights, KV cache and compute together.

        Args:
            log: what the process printed since it was started.

        Returns:
            None if it does not say.

        """
        ...

    async def metrics(self, socket_path: Path) -> EngineMetrics:
        """What it has under way now, and what it has counted since its process was started.

        Raises:
            EngineError: it does not answer, or not in words that are understood.

        """
        ...
