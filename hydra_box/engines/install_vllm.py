"""Installs vLLM: into a virtual environment of its own, where it then has to answer.

The environment is made where it stays, because the scripts of one that is moved break; it becomes
a runtime by its manifest, which is written last. An older one of the same version keeps its place
until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from hydra_box.engines import build_vllm
from hydra_box.engines.build_process import check_free_disk
from hydra_box.engines.build_vllm import Recipe
from hydra_box.engines.distribution import Site
from hydra_box.engines.manifest import (
    MANIFEST,
    Manifest,
    is_in_use,
    remove_directory,
    write_manifest,
)
from hydra_box.engines.vllm_runtimes import ENGINE, PYTHON, installed_runtime
from hydra_box.errors import EngineUnavailable
from hydra_box.types import Accelerator, Machine, Runtime

LEAST_CAPABILITY = (7, 5)
"""Turing: the oldest that PyTorch's builds for CUDA 13 have code for."""
LEAST_CUDA = 13


class Installation:
    """One installation, from the first look at the machine to a runtime."""

    def __init__(self, site: Site, build: build_vllm.Builder) -> None:
        self._site = site
        self._build = build
        self._home = site.paths.engines / ENGINE
        self._log_path = site.paths.logs / f"install-{ENGINE}.log"

    async def run(self) -> AsyncGenerator[str | Runtime, None]:
        """Install: lines for people, at the end the runtime. Closing it cancels and cleans up.

        Raises:
            EngineUnavailable: something is missing, or what was installed does not answer.

        """
        recipe = choose_recipe(self._site.machine)
        self._home.mkdir(parents=True, exist_ok=True)
        self._log_path.unlink(missing_ok=True)
        await self._remove_remains()
        check_free_disk(self._home, recipe.needed_bytes)
        name = f"{recipe.version}-{recipe.accelerator}-{int(self._site.now):x}"
        directory = self._home / name
        manifest = Manifest(
            version=recipe.version,
            accelerator=recipe.accelerator,
            program=PYTHON,
            built_at=self._site.now,
        )
        runtime = installed_runtime(directory, manifest)
        try:
            where = "a GPU" if recipe.accelerator is Accelerator.CUDA else "the CPU"
            yield f"installing vLLM {recipe.version} for {where}: some gigabytes, some minutes"
            build = self._build(recipe, directory, self._site.environ, self._log_path)
            async with aclosing(build) as lines:
                async for line in lines:
                    yield line
            yield "verifying: it has to answer on the demo model, which takes a minute"
            await self._verify(runtime)
            write_manifest(directory, manifest)
        finally:
            if not (directory / MANIFEST).exists():
                await remove_directory(directory)
        await self._remove_remains()
        yield runtime

    async def _verify(self, runtime: Runtime) -> None:
        verdict = await self._site.verify(runtime)
        if verdict.problem is not None:
            raise EngineUnavailable(
                f"vLLM was installed, but does not work: {verdict.problem}",
                hint=f"the whole log is in {self._log_path}",
            )

    async def _remove_remains(self) -> None:
        """What a killed installation left, and older environments that no process uses."""
        newest: dict[str, float] = {}
        manifests = build_vllm.manifests(self._home)
        for manifest in manifests.values():
            key = f"{manifest.version}-{manifest.accelerator}"
            newest[key] = max(newest.get(key, 0.0), manifest.built_at)
        for directory in self._home.iterdir():
            kept = manifests.get(directory)
            if kept and kept.built_at == newest[f"{kept.version}-{kept.accelerator}"]:
                continue
            if not await asyncio.to_thread(is_in_use, directory):
                await remove_directory(directory)


def choose_recipe(machine: Machine) -> Recipe:
    """The build for a machine: that for GPUs if it has one, else that for the CPU.

    Raises:
        EngineUnavailable: its GPUs or its driver are too old.

    """
    if not machine.gpus:
        return build_vllm.CPU
    capabilities = [one.compute_capability or LEAST_CAPABILITY for one in machine.gpus]
    if max(capabilities) < LEAST_CAPABILITY:
        best = machine.gpus[capabilities.index(max(capabilities))]
        raise EngineUnavailable(
            f"vLLM {build_vllm.GPU.version} needs a GPU of compute capability "
            f"{_dotted(LEAST_CAPABILITY)}; the {best.name} has {_dotted(max(capabilities))}",
            hint="llama.cpp runs on it: hydra-box engines install llama.cpp",
        )
    cuda = machine.cuda_version
    if cuda is not None and int(cuda.partition(".")[0]) < LEAST_CUDA:
        raise EngineUnavailable(
            f"vLLM {build_vllm.GPU.version} needs CUDA {LEAST_CUDA}; "
            f"the driver {machine.driver_version} offers CUDA {cuda}",
            hint="update the NVIDIA driver",
        )
    return build_vllm.GPU


def _dotted(capability: tuple[int, int]) -> str:
    return f"{capability[0]}.{capability[1]}"
