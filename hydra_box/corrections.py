"""The one writer of corrections: what measuring taught about the memory estimates."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from hydra_box.journal import Journal
from hydra_box.plan.correction import corrected, correction_id, observed_factor
from hydra_box.store import Store
from hydra_box.types import Correction, MeasuredMemory, Placement


class Corrections:
    """Kept in memory for the next plan, and in the store for the next daemon."""

    def __init__(
        self, store: Store, journal: Journal, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock
        self._known: dict[str, Correction] = {}

    async def load(self) -> None:
        """Read what earlier daemons learned."""
        self._known = {one.id: one for one in await self._store.corrections()}

    def get(self, id: str) -> Correction | None:
        """The correction of that name, if anything was measured."""
        return self._known.get(id)

    def factors(self) -> Mapping[str, float]:
        """Name to factor, as a plan takes them."""
        return {one.id: one.factor for one in self._known.values()}

    def learn(
        self, placement: Placement, measured: tuple[MeasuredMemory, ...]
    ) -> Correction | None:
        """Take in what was measured of a placement; None if it teaches nothing."""
        observed = observed_factor(placement, measured)
        if observed is None:
            return None
        id = correction_id(placement.engine, placement.architecture, placement.accelerator)
        new = corrected(self._known.get(id), id, observed, now=self._clock())
        self._known[id] = new
        self._journal.enqueue(lambda: self._store.save_correction(new))
        return new
