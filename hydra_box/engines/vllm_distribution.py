"""vLLM is installed here, for the GPUs of this machine or for its CPU."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from hydra_box.config import Paths
from hydra_box.engines import vllm_runtimes
from hydra_box.engines.build_vllm import Builder, build
from hydra_box.engines.distribution import Site
from hydra_box.engines.install_vllm import Installation
from hydra_box.engines.manifest import is_in_use, remove_directory
from hydra_box.errors import Conflict
from hydra_box.types import EngineName, Runtime


class VllmDistribution:
    """vLLM's way onto this machine."""

    def __init__(self, build: Builder = build) -> None:
        self._build = build

    @property
    def engine(self) -> EngineName:
        """The engine that it brings."""
        return vllm_runtimes.ENGINE

    async def discover(self, paths: Paths, environ: Mapping[str, str]) -> list[Runtime]:
        """Every runtime that is there now; none is known to work yet."""
        del environ  # A vLLM that somebody else installed is theirs.
        return await asyncio.to_thread(vllm_runtimes.find_runtimes, paths.engines / self.engine)

    def changed_at(self, runtime: Runtime) -> float:
        """When the runtime's files last changed, Unix time in seconds; 0 if they are gone."""
        return vllm_runtimes.changed_at(runtime)

    def install(self, site: Site) -> AsyncGenerator[str | Runtime, None]:
        """Install it for this machine's GPUs or its CPU and have it answer."""
        return Installation(site, self._build).run()

    async def remove(self, runtime: Runtime) -> None:
        """Remove the environment.

        Raises:
            Conflict: an instance runs in it, and loads modules as it needs them.

        """
        location = Path(runtime.location)
        if await asyncio.to_thread(is_in_use, location):
            raise Conflict(
                f"instances run on {runtime.id}", hint="stop their services, then remove it"
            )
        await remove_directory(location)
