"""Where an engine's runtimes come from: found on the machine, or installed by Hydra Box."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from hydra_box.config import Paths
from hydra_box.engines.verify import Verdict
from hydra_box.types import EngineName, Machine, Runtime

Verify = Callable[[Runtime], Awaitable[Verdict]]


@dataclass(frozen=True)
class Site:
    """Where an installation happens, and who says whether what it made works."""

    paths: Paths
    machine: Machine
    environ: Mapping[str, str]
    """Of the daemon; an installer picks what it passes on."""
    verify: Verify
    now: float
    """Unix time in seconds."""


class Distribution(Protocol):
    """One engine's way onto this machine."""

    @property
    def engine(self) -> EngineName:
        """The engine that it brings."""
        ...

    async def discover(self, paths: Paths, environ: Mapping[str, str]) -> list[Runtime]:
        """Every runtime that is there now; none is known to work yet."""
        ...

    def changed_at(self, runtime: Runtime) -> float:
        """When the runtime's files last changed, Unix time in seconds; 0 if they are gone."""
        ...

    def install(self, site: Site) -> AsyncGenerator[str | Runtime, None]:
        """Install for this machine: lines for people, and at the end the runtime, which works.

        Closing the generator cancels, and removes what was made.

        Raises:
            EngineUnavailable: something is missing, or what was made does not answer.

        """
        ...

    async def remove(self, runtime: Runtime) -> None:
        """Remove what was installed.

        Raises:
            Conflict: it cannot be removed now.

        """
        ...
