"""llama.cpp comes with Hydra Box, is found on the PATH, and is built here for this machine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from hydra_box.config import Paths
from hydra_box.engines import llama_cpp_runtimes
from hydra_box.engines.build_llama_cpp import build
from hydra_box.engines.distribution import Site
from hydra_box.engines.install_llama_cpp import Builder, Installation
from hydra_box.engines.manifest import remove_directory
from hydra_box.types import EngineName, Runtime


class LlamaCppDistribution:
    """llama.cpp's way onto this machine."""

    def __init__(self, build: Builder = build) -> None:
        self._build = build

    @property
    def engine(self) -> EngineName:
        """The engine that it brings."""
        return llama_cpp_runtimes.ENGINE

    async def discover(self, paths: Paths, environ: Mapping[str, str]) -> list[Runtime]:
        """Every runtime that is there now; none is known to work yet."""
        return await llama_cpp_runtimes.discover(paths, environ)

    def changed_at(self, runtime: Runtime) -> float:
        """When the runtime's files last changed, Unix time in seconds; 0 if they are gone."""
        return llama_cpp_runtimes.changed_at(runtime)

    def install(self, site: Site) -> AsyncGenerator[str | Runtime, None]:
        """Build it for this machine's CPU and GPU and have it answer."""
        return Installation(site, self._build).run()

    async def remove(self, runtime: Runtime) -> None:
        """Remove the build; instances that run on it keep its files until they end."""
        await remove_directory(Path(runtime.location))
