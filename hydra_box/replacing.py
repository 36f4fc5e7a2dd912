"""How instances of a service can be replaced here and now: beside those that serve, or not."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from hydra_box.gateway.pool import Pool
from hydra_box.placer import Placer
from hydra_box.plan.beside import Replacement, endings, replacement
from hydra_box.supervisor import Supervisor
from hydra_box.types import Ask, InstanceState, Offer, Plan, Rejection, Service


class Replacer:
    """Asks for room for one new instance beside everything that runs, or beside what stays."""

    def __init__(self, *, placer: Placer, supervisor: Supervisor, pool: Pool) -> None:
        self._placer = placer
        self._supervisor = supervisor
        self._pool = pool

    async def judge(
        self, service: Service, ask: Ask, offer: Offer, old: Collection[str]
    ) -> Replacement:
        """How a service's instances are replaced.

        Args:
            service: as it is now.
            ask: what new instances ask for.
            offer: the weights that they serve.
            old: ids of those that would not run as they then should.
        """
        ours = self._supervisor.instances_of(service.id)
        serving = [one for one in ours if one.state is InstanceState.READY]
        leaving = [one.id for one in serving if one.id in old]
        if not leaving:
            return Replacement()
        placed = sum(one.placement is not None for one in ours)
        lacks: Rejection | None = None
        for ends in (0, *endings(len(serving), len(leaving))):
            one_more = msgspec.structs.replace(ask, instances=1, running=placed - ends)
            decision = await self._placer.place_beside(
                one_more, (offer,), self._supervisor.instances(), service.id, gone=leaving[:ends]
            )
            if isinstance(decision.result, Plan):
                break
            lacks = decision.result
        else:
            ends = len(leaving)
        endpoint = self._pool.find(service.access_name)
        return replacement(
            lacks,
            serving=len(serving),
            ends=ends,
            start_seconds=endpoint.start_seconds if endpoint else None,
        )
