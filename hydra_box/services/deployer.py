"""From what an owner asks to a service that can be stored: checked, planned, priced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec

from hydra_box.catalog import Catalog
from hydra_box.downloads import Downloads
from hydra_box.errors import Conflict
from hydra_box.messages import DeployRequest
from hydra_box.planner import Planner
from hydra_box.services.deploying import Agreed, check_asked, service_of_plan, service_of_upstreams
from hydra_box.services.terms import catalog_price
from hydra_box.types import Price, Service, User
from hydra_box.users import Users


class Deployer:
    """Works out what a deployment comes to; it stores nothing but the wish for a download."""

    def __init__(
        self,
        *,
        planner: Planner,
        downloads: Downloads,
        users: Users,
        catalog: Catalog,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._planner = planner
        self._downloads = downloads
        self._users = users
        self._catalog = catalog
        self._clock = clock

    async def agree(self, request: DeployRequest, owner: User) -> Agreed:
        """All that takes a while; nothing changes.

        Args:
            request: what is asked.
            owner: whose service it is, if the request does not say.

        Raises:
            HydraError: as ``ServiceManager.deploy``.

        """
        check_asked(request)
        owner = owner if request.user is None else self._users.find(request.user)
        if owner.disabled_at is not None:
            raise Conflict(
                f"the user {owner.name} is disabled",
                hint=f"hydra-box users enable {owner.name}",
                param="user",
            )
        planned = None if request.upstreams else await self._planner.decide(request)
        return Agreed(owner_id=owner.id, price=await self._price(request), planned=planned)

    async def make(self, request: DeployRequest, agreed: Agreed, name: str) -> Service:
        """The service of that name; if its model is not here, it is queued for download."""
        price, at = agreed.price, self._clock()
        if agreed.planned is None:
            return service_of_upstreams(request, agreed.owner_id, name=name, price=price, at=at)
        service = service_of_plan(
            request, agreed.owner_id, agreed.planned, name=name, price=price, at=at
        )
        if agreed.planned.wanted is None:
            return service
        download = await self._downloads.want(agreed.planned.wanted, pulled=False)
        return msgspec.structs.replace(service, download_id=download.id)

    async def _price(self, request: DeployRequest) -> Price | None:
        if request.price is not None or not request.public:
            return request.price
        return await asyncio.to_thread(catalog_price, self._catalog, request.model)
