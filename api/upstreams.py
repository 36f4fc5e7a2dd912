"""The upstreams of public services: set, look, check, take away."""

from __future__ import annotations

from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody

from api.wiring import BoxParam
from hydra_box.messages import EditUpstreamRequest, UpstreamRequest, UpstreamView


@get("/services/{name:str}/upstreams")
async def list_upstreams(box: BoxParam, name: FromPath[str]) -> list[UpstreamView]:
    """The upstreams of a service, oldest first; never a key."""
    return list(box.services.get(name).upstreams)


@post("/services/{name:str}/upstreams", status_code=201)
async def add_upstream(
    box: BoxParam, name: FromPath[str], data: JSONBody[UpstreamRequest]
) -> UpstreamView:
    """Give a public service an upstream, beside its instances or instead of them.

    The answer comes before it was asked for its health; then it takes requests.
    """
    return await box.upstreams.add(box.services.live(name), data)


@patch("/services/{name:str}/upstreams/{id:str}")
async def edit_upstream(
    box: BoxParam, name: FromPath[str], id: FromPath[str], data: JSONBody[EditUpstreamRequest]
) -> UpstreamView:
    """Change an upstream: what is not given stays; a key that is null is taken away."""
    return await box.upstreams.edit(box.services.live(name), id, data)


@delete("/services/{name:str}/upstreams/{id:str}", status_code=200)
async def remove_upstream(box: BoxParam, name: FromPath[str], id: FromPath[str]) -> UpstreamView:
    """Take an upstream away, with its key, after its requests under way."""
    return await box.upstreams.remove(box.services.live(name), id)


@post("/services/{name:str}/upstreams/{id:str}/check", status_code=200)
async def check_upstream(box: BoxParam, name: FromPath[str], id: FromPath[str]) -> UpstreamView:
    """Ask an upstream for its health now."""
    return await box.upstreams.check(box.services.live(name), id)
