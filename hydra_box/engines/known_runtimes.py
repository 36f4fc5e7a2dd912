"""What is known about the runtimes of this box: in the store, and what its disk has now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

import msgspec

from hydra_box.config import Paths
from hydra_box.engines.choice import candidates, rank
from hydra_box.engines.distribution import Distribution
from hydra_box.engines.security import known_hole
from hydra_box.errors import NotFound
from hydra_box.hardware import snapshot
from hydra_box.store import Store
from hydra_box.types import Accelerator, EngineName, Runtime

log = logging.getLogger(__name__)


class KnownRuntimes:
    """Every runtime, by its id."""

    def __init__(
        self,
        store: Store,
        paths: Paths,
        environ: Mapping[str, str],
        distributions: Mapping[EngineName, Distribution],
    ) -> None:
        self._store = store
        self._paths = paths
        self._environ = environ
        self._distributions = distributions
        self._runtimes: dict[str, Runtime] = {}
        self.has_gpu = False
        """Whether this machine has one, as it was at ``load``."""

    async def load(self) -> None:
        """Find what is there; what was verified stays so, unless its files have changed since.

        What has become known as unsafe since is not used any more, whatever it answered.
        """
        machine = await asyncio.to_thread(snapshot, self._paths.home)
        self.has_gpu = bool(machine.gpus)
        stored = {one.id: one for one in await self._store.runtimes()}
        for distribution in self._distributions.values():
            for found in await distribution.discover(self._paths, self._environ):
                known = stored.pop(found.id, None)
                current = known if known and self._is_same(known, found) else found
                if known is not None:
                    current = msgspec.structs.replace(
                        current, pinned=known.pinned, replaces=known.replaces
                    )
                if hole := known_hole(current):
                    current = msgspec.structs.replace(current, verified_at=None, problem=hole)
                self._runtimes[current.id] = current
                if current != known:
                    await self.keep(current)
        for gone in stored.values():
            if gone.pinned:
                log.warning("the pinned runtime %s is gone: others take its place", gone.id)
            await self._store.delete_runtime(gone.id)

    def _is_same(self, known: Runtime, found: Runtime) -> bool:
        """Whether what is stored about a runtime still holds."""
        if known.argv != found.argv or known.location != found.location:
            return False
        changed_at = self._distributions[found.engine].changed_at
        return known.verified_at is None or changed_at(found) <= known.verified_at

    def list(self) -> tuple[Runtime, ...]:
        """Every runtime, best first."""
        return tuple(
            sorted(self._runtimes.values(), key=lambda one: rank(one, self.has_gpu), reverse=True)
        )

    def get(self, runtime_id: str) -> Runtime:
        """The runtime of that id.

        Raises:
            NotFound: there is none; the hint has those that there are.

        """
        if (found := self.find(runtime_id)) is not None:
            return found
        known = ", ".join(one.id for one in self.list()) or "none"
        raise NotFound(f"there is no runtime {runtime_id!r}", hint=f"runtimes: {known}")

    def find(self, runtime_id: str | None) -> Runtime | None:
        """The runtime of that id, if there is one."""
        return self._runtimes.get(runtime_id or "")

    def candidates(self, engine: EngineName, accelerator: Accelerator) -> Sequence[Runtime]:
        """Those of an engine that may be used on an accelerator, the most suitable first."""
        return candidates(engine, accelerator, self._runtimes.values(), has_gpu=self.has_gpu)

    async def keep(self, runtime: Runtime) -> None:
        """Insert a runtime, or replace the one of its id."""
        self._runtimes[runtime.id] = runtime
        await self._store.save_runtime(runtime)

    async def forget(self, runtime_id: str) -> None:
        """Remove what is known about a runtime; its files are gone."""
        del self._runtimes[runtime_id]
        await self._store.delete_runtime(runtime_id)
