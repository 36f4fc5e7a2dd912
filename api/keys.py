"""API keys: make, list, revoke."""

from __future__ import annotations

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody

from api.wiring import BoxParam
from hydra_box.messages import CreatedKey, CreateKeyRequest, KeyView


@get("/keys")
async def list_keys(box: BoxParam) -> list[KeyView]:
    """Every key, revoked ones too, oldest first; never a secret."""
    return list(box.keys.list())


@post("/keys", status_code=201)
async def create_key(box: BoxParam, data: JSONBody[CreateKeyRequest]) -> CreatedKey:
    """Make a key; its secret is in this answer and nowhere else."""
    return await box.keys.create(data, box.local_user)


@delete("/keys/{name:str}", status_code=200)
async def revoke_key(box: BoxParam, name: FromPath[str]) -> KeyView:
    """Revoke a key, by name or id: from now on it opens nothing."""
    return await box.keys.revoke(name)
