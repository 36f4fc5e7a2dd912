"""The runtimes of this box: found, verified, chosen, installed and removed."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

import msgspec

from hydra_box.config import Paths
from hydra_box.engines.base import Engine
from hydra_box.engines.build_llama_cpp import build
from hydra_box.engines.discover import changed_at, discover
from hydra_box.engines.install import Builder, Installation, remove_directory
from hydra_box.engines.verify import Verdict, verify
from hydra_box.errors import Conflict, EngineUnavailable, NotFound
from hydra_box.hardware import snapshot
from hydra_box.messages import InstallProgress
from hydra_box.store import Store
from hydra_box.types import Accelerator, EngineName, Runtime, RuntimeSource

_LEAST_TO_MOST = (RuntimeSource.PATH, RuntimeSource.BUNDLED, RuntimeSource.BUILT)


class RuntimeManager:
    """The only writer of what is known about runtimes."""

    def __init__(
        self,
        store: Store,
        paths: Paths,
        engines: Mapping[EngineName, Engine],
        demo_model: Path,
        *,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
        builder: Builder = build,
    ) -> None:
        self._store = store
        self._paths = paths
        self._engines = engines
        self._demo_model = demo_model
        self._environ = environ
        self._clock = clock
        self._build = builder
        self._runtimes: dict[str, Runtime] = {}
        self._has_gpu = False
        self._verifying: dict[str, asyncio.Task[Runtime]] = {}
        self._installing: set[EngineName] = set()

    async def load(self) -> None:
        """Find what is there; what was verified stays so, unless its files have changed since."""
        machine = await asyncio.to_thread(snapshot, self._paths.home)
        self._has_gpu = bool(machine.gpus)
        stored = {one.id: one for one in await self._store.runtimes()}
        for found in await discover(self._paths, self._environ):
            known = stored.pop(found.id, None)
            if known is not None and _same(known, found):
                self._runtimes[known.id] = known
            else:
                await self._keep(found)
        for gone in stored:
            await self._store.delete_runtime(gone)

    def list(self) -> tuple[Runtime, ...]:
        """Every runtime, best first."""
        return tuple(
            sorted(self._runtimes.values(), key=lambda one: rank(one, self._has_gpu), reverse=True)
        )

    async def verify(self, runtime_id: str) -> Runtime:
        """Start the runtime on the demo model; the answer tells what became of it.

        Raises:
            NotFound: there is no such runtime.

        """
        runtime = self._get(runtime_id)
        # Others may wait for the same verification, so a caller that leaves does not end it.
        return await asyncio.shield(self._start_verifying(runtime))

    async def verify_new(self) -> None:
        """Verify those that are not known to work; a failed one may have been cured meanwhile."""
        new = [one for one in self.list() if one.verified_at is None]
        await asyncio.gather(*(self._start_verifying(one) for one in new))

    async def best(self, engine: EngineName) -> Runtime:
        """The most suitable runtime that works; one that was not tried yet is tried first.

        It is not enough that another is verified sooner: a GPU takes longer to answer than the
        CPU, which must not be used in its place.

        Raises:
            EngineUnavailable: none works; says why each does not.

        """
        ours = [one for one in self._runtimes.values() if one.engine.value == engine.value]
        ours.sort(key=lambda one: suitability(one, self._has_gpu), reverse=True)
        for one in ours:
            if one.problem is not None and one.id not in self._verifying:
                continue
            tried = one if one.verified_at is not None else await self.verify(one.id)
            if tried.verified_at is not None:
                return tried
        raise _nothing_works(engine, [self._runtimes[one.id] for one in ours])

    async def install(self, engine: EngineName) -> AsyncGenerator[InstallProgress, None]:
        """Build the engine for this machine and verify it; the last one told has the runtime.

        Closing the generator (its client left) cancels the build and removes what it made.

        Raises:
            Conflict: it is being installed already.
            EngineUnavailable: it cannot be built here, or what was built does not work.

        """
        if engine in self._installing:
            raise Conflict(
                f"{engine} is being installed already",
                hint="wait until that installation has ended",
            )
        self._installing.add(engine)
        try:
            async with aclosing(self._install()) as steps:
                async for step in steps:
                    yield step
        finally:
            self._installing.discard(engine)

    async def remove(self, runtime_id: str) -> None:
        """Remove a runtime that was built here; instances that run on it keep running.

        Raises:
            NotFound: there is no such runtime.
            Conflict: it is not one that was built here, or it is in work.

        """
        runtime = self._get(runtime_id)
        if runtime.source is RuntimeSource.BUNDLED:
            raise Conflict(
                f"{runtime_id} is a part of Hydra Box", hint="a better runtime is preferred to it"
            )
        if runtime.source is RuntimeSource.PATH:
            raise Conflict(
                f"{runtime_id} was not installed by Hydra Box",
                hint=f"remove {runtime.location} with what installed it",
            )
        if runtime_id in self._verifying or runtime.engine in self._installing:
            raise Conflict(f"{runtime_id} is being installed or verified", hint="try again later")
        del self._runtimes[runtime_id]
        await self._store.delete_runtime(runtime_id)
        await remove_directory(Path(runtime.location))

    def _get(self, runtime_id: str) -> Runtime:
        try:
            return self._runtimes[runtime_id]
        except KeyError:
            known = ", ".join(one.id for one in self.list()) or "none"
            raise NotFound(
                f"there is no runtime {runtime_id!r}", hint=f"runtimes: {known}"
            ) from None

    async def _keep(self, runtime: Runtime) -> None:
        self._runtimes[runtime.id] = runtime
        await self._store.save_runtime(runtime)

    def _start_verifying(self, runtime: Runtime) -> asyncio.Task[Runtime]:
        if runtime.id not in self._verifying:
            task = asyncio.create_task(self._verify(runtime))
            self._verifying[runtime.id] = task
            task.add_done_callback(lambda _: self._verifying.pop(runtime.id))
        return self._verifying[runtime.id]

    async def _verify(self, runtime: Runtime) -> Runtime:
        started_at = self._clock()
        verdict = await self._try(runtime)
        outcome = msgspec.structs.replace(
            runtime,
            verified_at=started_at if verdict.problem is None else None,
            problem=verdict.problem,
        )
        await self._keep(outcome)
        return outcome

    async def _try(self, runtime: Runtime) -> Verdict:
        device = "cpu"
        if runtime.accelerator is Accelerator.CUDA:
            machine = await asyncio.to_thread(snapshot, self._paths.home)
            if not machine.gpus:
                return Verdict(problem=f"it computes on a GPU: {machine.gpu_message}")
            device = machine.gpus[0].uuid
        engine = self._engines[runtime.engine]
        return await verify(engine, runtime, self._demo_model, device, self._paths)

    async def _install(self) -> AsyncGenerator[InstallProgress, None]:
        started_at = self._clock()
        machine = await asyncio.to_thread(snapshot, self._paths.home)
        installation = Installation(
            self._paths, machine, self._environ, self._try, self._build, now=started_at
        )
        async with aclosing(installation.run()) as lines:
            async for line in lines:
                yield InstallProgress(line=line)
        if installation.runtime is not None:
            runtime = msgspec.structs.replace(installation.runtime, verified_at=self._clock())
            await self._keep(runtime)
            yield InstallProgress(runtime=runtime)


def rank(runtime: Runtime, has_gpu: bool) -> tuple[bool, bool, int, tuple[int, ...]]:
    """Sorts runtimes, best last: those that work by how suitable they are, then the others."""
    return runtime.verified_at is not None, *suitability(runtime, has_gpu)


def suitability(runtime: Runtime, has_gpu: bool) -> tuple[bool, int, tuple[int, ...]]:
    """Sorts runtimes, the most suitable last.

    1. One for what this machine has: a GPU, or only a CPU.
    2. Built here, then bundled, then found on the PATH.
    3. The newest version.
    """
    suits = (runtime.accelerator is Accelerator.CUDA) == has_gpu
    numbers = tuple(int(digits) for digits in re.findall(r"\d+", runtime.version))
    return suits, _LEAST_TO_MOST.index(runtime.source), numbers


def _same(known: Runtime, found: Runtime) -> bool:
    """Whether what is stored about a runtime still holds."""
    unchanged = known.argv == found.argv and known.location == found.location
    return unchanged and (known.verified_at is None or changed_at(found) <= known.verified_at)


def _nothing_works(engine: EngineName, runtimes: Sequence[Runtime]) -> EngineUnavailable:
    problems = "; ".join(f"{one.id}: {one.problem}" for one in runtimes)
    return EngineUnavailable(
        f"no runtime of {engine} works on this machine ({problems or 'none is installed'})",
        hint=f"hydra-box engines install {engine} builds one for it",
    )
