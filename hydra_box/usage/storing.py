"""From requests to rows: with what they drew, and without those that no table takes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import msgspec

from hydra_box.errors import InvalidRequest
from hydra_box.plan.energy import ShareEnergy
from hydra_box.store import Store
from hydra_box.types import RequestRecord
from hydra_box.usage.journal import UsageJournal

log = logging.getLogger(__name__)


class Storing:
    """Stores batches; what cannot be stored is set aside in the journal's directory."""

    def __init__(self, store: Store, journal: UsageJournal, share_energy: ShareEnergy) -> None:
        self._store = store
        self._journal = journal
        self._share_energy = share_energy

    def with_energy(self, batch: Sequence[RequestRecord]) -> list[RequestRecord]:
        """The requests of a batch, each with its share of what was drawn since the last one."""
        shares = self._share_energy(batch)
        return [
            msgspec.structs.replace(one, energy_millijoules=one.energy_millijoules + shares[one.id])
            if one.id in shares
            else one
            for one in batch
        ]

    async def add(self, batch: Sequence[RequestRecord]) -> None:
        """Store a batch.

        Raises:
            StateError: the file fails; some of the batch may be stored.

        """
        try:
            await self._store.add_requests(batch)
        except InvalidRequest:
            await self._add_each(batch)

    async def _add_each(self, batch: Iterable[RequestRecord]) -> None:
        """Store what can be: one request that cannot must not hold up all others."""
        for one in batch:
            try:
                await self._store.add_requests((one,))
            except InvalidRequest as error:
                log.error("the request %s cannot be stored: %s", one.id, error.message)
                self._set_aside(one)

    def _set_aside(self, request: RequestRecord) -> None:
        line = msgspec.json.encode(request)
        try:
            self._journal.set_aside((line,))
        except OSError as error:
            log.error("%s: it was %s", error, line.decode())
