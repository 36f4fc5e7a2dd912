"""Installs llama.cpp: builds it, has it answer, and only then puts it in its place.

Everything happens in a directory beside the final one, so that a failed, cancelled or killed
installation leaves an older runtime as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

from hydra_box.engines import build_llama_cpp as llama_cpp
from hydra_box.engines.build_llama_cpp import BuildOptions
from hydra_box.engines.build_process import check_free_disk
from hydra_box.engines.cpu_features import Feature, next_without, parse_cpu_flags
from hydra_box.engines.cuda_toolkit import NO_NVCC, find_nvcc
from hydra_box.engines.distribution import Site
from hydra_box.engines.llama_cpp_runtimes import ENGINE, built_runtime
from hydra_box.engines.manifest import Manifest, remove_directory, write_manifest
from hydra_box.errors import EngineUnavailable
from hydra_box.types import Accelerator, ProcessExit, Runtime

UNFINISHED = ".unfinished"
REPLACED = ".replaced"
"""Directories beside the runtimes; what an installation that was killed left in them goes."""


class Builder(Protocol):
    """Builds llama.cpp as ``build_llama_cpp.build`` does."""

    def __call__(
        self, options: BuildOptions, environ: Mapping[str, str]
    ) -> AsyncGenerator[str, None]:
        """Yield what the build prints; raise EngineUnavailable when it fails."""
        ...


class Installation:
    """One installation, from the first look at the machine to a runtime in its place."""

    def __init__(self, site: Site, build: Builder) -> None:
        self._site = site
        self._build = build
        self._home = site.paths.engines / ENGINE
        self._log_path = site.paths.logs / f"install-{ENGINE}.log"
        self._accelerator = Accelerator.CPU
        self._without: tuple[str, ...] = ()

    async def run(self) -> AsyncGenerator[str | Runtime, None]:
        """Install: lines for people, at the end the runtime. Closing it cancels and cleans up.

        Raises:
            EngineUnavailable: something is missing, the build failed, or what it made does not
                answer.

        """
        unfinished = self._home / UNFINISHED
        self._home.mkdir(parents=True, exist_ok=True)
        self._log_path.unlink(missing_ok=True)
        llama_cpp.check_toolchain(self._site.environ)
        for line in self._choose_accelerator():
            yield line
        check_free_disk(self._home, llama_cpp.NEEDED_BYTES[self._accelerator])
        try:
            while True:
                await remove_directory(unfinished)
                async with aclosing(
                    self._build(self._options(unfinished), self._site.environ)
                ) as lines:
                    async for line in lines:
                        yield line
                yield "verifying: it has to answer on the demo model"
                trapped = await self._try(unfinished)
                if trapped is None:
                    break
                self._without += (trapped.name,)
                yield f"it stopped at a CPU instruction (SIGILL): building without {trapped.name}"
            yield await self._put_in_place(unfinished)
        finally:
            await remove_directory(unfinished)

    def _choose_accelerator(self) -> list[str]:
        if not self._site.machine.gpus:
            return [f"building for the CPU: {self._site.machine.gpu_message}"]
        if find_nvcc(self._site.environ) is None:
            return [
                f"building for the CPU, although there is a GPU: {NO_NVCC}",
                "hint: install NVIDIA's CUDA toolkit and install again",
            ]
        self._accelerator = Accelerator.CUDA
        return [f"building for the GPU: {self._site.machine.gpus[0].name}"]

    def _options(self, directory: Path) -> BuildOptions:
        capabilities = {gpu.compute_capability for gpu in self._site.machine.gpus}
        return BuildOptions(
            directory=directory,
            accelerator=self._accelerator,
            gpu_architectures=tuple(sorted(f"{one[0]}{one[1]}" for one in capabilities if one)),
            without=self._without,
            jobs=llama_cpp.jobs(self._site.machine.ram_available_bytes),
            log_path=self._log_path,
        )

    async def _try(self, directory: Path) -> Feature | None:
        """None when what was built answers; else the CPU feature to leave out."""
        runtime = built_runtime(directory, self._manifest(directory))
        verdict = await self._site.verify(runtime)
        if verdict.problem is None:
            return None
        if verdict.exit is not None and _trapped(verdict.exit):
            cpuinfo = await asyncio.to_thread(Path("/proc/cpuinfo").read_text, encoding="utf-8")
            if feature := next_without(parse_cpu_flags(cpuinfo), self._without):
                return feature
        raise EngineUnavailable(
            f"the build was made, but does not work: {verdict.problem}",
            hint=f"the whole log is in {self._log_path}",
        )

    def _manifest(self, directory: Path) -> Manifest:
        return Manifest(
            version=llama_cpp.VERSION,
            accelerator=self._accelerator,
            program=str(llama_cpp.program(directory).relative_to(directory)),
            built_at=self._site.now,
            without=self._without,
        )

    async def _put_in_place(self, directory: Path) -> Runtime:
        manifest = self._manifest(directory)
        write_manifest(directory, manifest)
        final = self._home / f"{manifest.version}-{manifest.accelerator}"
        replaced = self._home / REPLACED
        await remove_directory(replaced)
        with contextlib.suppress(FileNotFoundError):
            # Instances that run on the older build keep its files until they end.
            await asyncio.to_thread(final.rename, replaced)
        await asyncio.to_thread(directory.rename, final)
        await remove_directory(replaced)
        return built_runtime(final, manifest)


def _trapped(exit: ProcessExit) -> bool:
    return exit.signal == signal.SIGILL or exit.code == 128 + signal.SIGILL
