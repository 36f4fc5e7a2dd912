"""Is it alive, does it take requests: for whoever watches the daemon, without a key."""

from __future__ import annotations

from typing import Literal

from litestar import get

from api.security import ACCESS, Access
from api.wiring import BoxParam
from hydra_box.gateway.endpoint import stopping
from hydra_box.types import Frozen

OPEN = {ACCESS: Access.PUBLIC}


class Health(Frozen, frozen=True, kw_only=True):
    """The answer of ``/healthz`` and ``/readyz``."""

    status: Literal["ok"] = "ok"


@get("/healthz", opt=OPEN)
async def healthz() -> Health:
    """The daemon is alive."""
    return Health()


@get("/readyz", opt=OPEN)
async def readyz(box: BoxParam) -> Health:
    """The daemon takes requests; 503 while it is stopping."""
    if not box.relay.accepting:
        raise stopping()
    return Health()
