"""The runtimes of this box: found, verified, chosen, pinned, installed and removed."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path

import msgspec

from hydra_box.config import Paths
from hydra_box.engines import DISTRIBUTIONS
from hydra_box.engines.base import Engine
from hydra_box.engines.choice import eligible, nothing_works
from hydra_box.engines.distribution import Distribution, Site
from hydra_box.engines.known_runtimes import KnownRuntimes
from hydra_box.engines.removal import check_removable
from hydra_box.engines.verifying import Verifications
from hydra_box.errors import Conflict
from hydra_box.hardware import snapshot
from hydra_box.journal import Record
from hydra_box.messages import InstallProgress
from hydra_box.store import Store
from hydra_box.types import (
    Accelerator,
    EngineAvailability,
    EngineName,
    Runtime,
)


class RuntimeManager:
    """The only writer of what is known about runtimes."""

    def __init__(
        self,
        store: Store,
        paths: Paths,
        engines: Mapping[EngineName, Engine],
        demo_model: Path,
        *,
        record: Record,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
        distributions: Mapping[EngineName, Distribution] = DISTRIBUTIONS,
    ) -> None:
        self._paths = paths
        self._engines = engines
        self._record = record
        self._environ = environ
        self._clock = clock
        self._distributions = distributions
        self._known = KnownRuntimes(store, paths, environ, distributions)
        self._verifying = Verifications(
            self._known, paths, engines, demo_model, record=record, clock=clock
        )
        self._installing: set[EngineName] = set()
        self._pinning = asyncio.Lock()

    async def load(self) -> None:
        """Find what is there, and what is known about it."""
        await self._known.load()

    def list(self) -> tuple[Runtime, ...]:
        """Every runtime, best first."""
        return self._known.list()

    async def verify(self, runtime_id: str) -> Runtime:
        """Start the runtime on the demo model; the answer tells what became of it.

        Raises:
            NotFound: there is no such runtime.

        """
        runtime = self._known.get(runtime_id)
        # Others may wait for the same verification, so a caller that leaves does not end it.
        return await asyncio.shield(self._verifying.start(runtime))

    async def verify_new(self) -> None:
        """Verify those that are not known to work; a failed one may have been cured meanwhile."""
        new = [one for one in self.list() if one.verified_at is None]
        await asyncio.gather(*(self._verifying.start(one) for one in new))

    def availability(self) -> tuple[EngineAvailability, ...]:
        """What each engine can compute on: by runtimes that work, or that nobody has tried yet."""
        return tuple(
            EngineAvailability(
                engine=engine,
                accelerators=tuple(
                    accelerator
                    for accelerator in Accelerator
                    if any(
                        one.problem is None for one in self._known.candidates(engine, accelerator)
                    )
                ),
            )
            for engine in self._engines
        )

    async def best(self, engine: EngineName, accelerator: Accelerator) -> Runtime:
        """The most suitable runtime that works; one that was not tried yet is tried first.

        Only those that compute on ``accelerator``: the CPU does not stand in for a GPU.

        Raises:
            EngineUnavailable: none works; says why each does not.

        """
        for one in self._known.candidates(engine, accelerator):
            if one.problem is not None and not self._verifying.under_way(one.id):
                continue
            tried = one if one.verified_at is not None else await self.verify(one.id)
            if tried.verified_at is not None:
                return tried
        raise nothing_works(engine, accelerator, eligible(engine, self.list()))

    def pins(self) -> dict[tuple[EngineName, Accelerator], str]:
        """The pinned runtime of each engine that has one, by what it computes on."""
        pinned = (one for one in self.list() if one.pinned)
        return {(one.engine, one.accelerator): one.id for one in pinned}

    async def tried(self, runtime_id: str) -> Runtime:
        """A runtime that works; one that was not tried yet is tried first.

        Raises:
            NotFound: there is no such runtime.
            Conflict: it does not work.

        """
        runtime = self._known.get(runtime_id)
        if runtime.verified_at is None and runtime.problem is None:
            runtime = await self.verify(runtime_id)
        if runtime.problem is not None:
            raise Conflict(
                f"{runtime_id} cannot be used: {runtime.problem}",
                hint=f"hydra-box engines verify {runtime_id} tries it again",
            )
        return runtime

    async def pin(self, runtime_id: str, *, replaces: str | None = None) -> Runtime:
        """Use this runtime of its engine and no other; another one that was pinned is not any more.

        Args:
            runtime_id: the one to use.
            replaces: what instances run on now that will be replaced; None: none is.

        Raises:
            NotFound: there is no such runtime.
            Conflict: it does not work.

        """
        async with self._pinning:
            runtime = await self.tried(runtime_id)
            for other in eligible(runtime.engine, self.list()):
                if other.pinned and other.id != runtime_id:
                    # What served last is what was before the one that has not served yet.
                    replaces = other.replaces or replaces
                    await self._set_pinned(other.id, pinned=False)
            replaces = None if replaces == runtime_id else replaces
            return await self._set_pinned(runtime_id, pinned=True, replaces=replaces)

    async def settle(self, runtime_id: str) -> Runtime:
        """What ran on another runtime serves on this pinned one now."""
        async with self._pinning:
            runtime = msgspec.structs.replace(self._known.get(runtime_id), replaces=None)
            await self._known.keep(runtime)
            return runtime

    async def roll_back(self, runtime_id: str) -> Runtime | None:
        """Pin what a pinned runtime replaces in its place; None: that is not here any more."""
        before = self._known.find(self._known.get(runtime_id).replaces)
        await self.settle(runtime_id)
        if before is None or before.problem is not None:
            await self.unpin(runtime_id)
            return None
        return await self.pin(before.id)

    async def unpin(self, runtime_id: str) -> Runtime:
        """Choose among the engine's runtimes again.

        Raises:
            NotFound: there is no such runtime.

        """
        async with self._pinning:
            return await self._set_pinned(runtime_id, pinned=False)

    async def _set_pinned(
        self, runtime_id: str, *, pinned: bool, replaces: str | None = None
    ) -> Runtime:
        before = self._known.get(runtime_id)
        runtime = msgspec.structs.replace(before, pinned=pinned, replaces=replaces)
        await self._known.keep(runtime)
        if pinned != before.pinned:
            what = "pinned" if pinned else "unpinned"
            self._record(f"engine.{what}", f"{runtime_id} is {what}")
        return runtime

    async def install(self, engine: EngineName) -> AsyncGenerator[InstallProgress, None]:
        """Install the engine for this machine and verify it; the last one told has the runtime.

        Closing the generator (its client left) cancels the build and removes what it made.

        Raises:
            Conflict: it is being installed already.
            EngineUnavailable: it cannot be installed here, or what was made does not work.

        """
        if engine in self._installing:
            raise Conflict(
                f"{engine} is being installed already",
                hint="wait until that installation has ended",
            )
        self._installing.add(engine)
        try:
            async with aclosing(self._install(engine)) as steps:
                async for step in steps:
                    yield step
        finally:
            self._installing.discard(engine)

    async def remove(self, runtime_id: str) -> None:
        """Remove a runtime that was installed here.

        Raises:
            NotFound: there is no such runtime.
            Conflict: it is not one that was installed here, it is pinned, or it is in work.

        """
        runtime = self._known.get(runtime_id)
        check_removable(runtime, self.list())
        if self._verifying.under_way(runtime_id) or runtime.engine in self._installing:
            raise Conflict(f"{runtime_id} is being installed or verified", hint="try again later")
        await self._distributions[runtime.engine].remove(runtime)
        await self._known.forget(runtime_id)
        self._record("engine.removed", f"{runtime_id} is removed")

    async def _install(self, engine: EngineName) -> AsyncGenerator[InstallProgress, None]:
        machine = await asyncio.to_thread(snapshot, self._paths.home)
        site = Site(self._paths, machine, self._environ, self._verifying.attempt, self._clock())
        async with aclosing(self._distributions[engine].install(site)) as steps:
            async for step in steps:
                if isinstance(step, str):
                    yield InstallProgress(line=step)
                    continue
                known = self._known.find(step.id) or step
                runtime = msgspec.structs.replace(
                    step, verified_at=self._clock(), pinned=known.pinned
                )
                await self._known.keep(runtime)
                self._record("engine.installed", f"{runtime.id} is installed, and has answered")
                yield InstallProgress(runtime=runtime)
