"""What every engine adapter answers; the supervisor and the gateway know engines only by this."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from hydra_box.errors import HydraError
from hydra_box.types import (
    EngineName,
    ExitExplanation,
    Frozen,
    Launch,
    ProcessExit,
    Runtime,
)


class Command(Frozen, frozen=True, kw_only=True):
    """A program to start: no shell, and only the environment that is named here."""

    argv: tuple[str, ...]
    env: dict[str, str]


class Engine(Protocol):
    """One engine: how to start it, how to know that it serves, what its words mean."""

    @property
    def name(self) -> EngineName:
        """Its name, as users write it."""
        ...

    def command(self, runtime: Runtime, launch: Launch) -> Command:
        """The program that serves ``launch`` on its UNIX socket."""
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

    def translate_error(self, status: int, body: bytes, headers: Mapping[str, str]) -> HydraError:
        """An engine's error answer (status 400 and up) as one of ours.

        The same fault reads the same from every engine, and nothing internal shows.
        """
        ...
