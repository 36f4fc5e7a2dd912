"""API keys: make, look, change, give a new secret, revoke."""

from __future__ import annotations

from typing import Any

from litestar import Request, delete, get, patch, post
from litestar.params import FromPath, JSONBody

from api.security import asking_key
from api.wiring import BoxParam
from hydra_box.messages import (
    CreatedKey,
    CreateKeyRequest,
    EditKeyRequest,
    KeyView,
    RotateKeyRequest,
)


@get("/keys")
async def list_keys(box: BoxParam) -> list[KeyView]:
    """Every key, revoked ones too, oldest first; never a secret."""
    return list(box.keys.list())


@get("/keys/{name:str}")
async def get_key(box: BoxParam, name: FromPath[str]) -> KeyView:
    """One key, by name or id; never its secret."""
    return box.keys.show(name)


@post("/keys", status_code=201)
async def create_key(
    request: Request[Any, Any, Any], box: BoxParam, data: JSONBody[CreateKeyRequest]
) -> CreatedKey:
    """Make a key; its secret is in this answer and nowhere else."""
    owner = box.local_user if data.user is None else box.users.find(data.user)
    asking = asking_key(request.scope)
    return await box.keys.create(data, owner, created_by=asking.name if asking else "")


@patch("/keys/{name:str}")
async def edit_key(box: BoxParam, name: FromPath[str], data: JSONBody[EditKeyRequest]) -> KeyView:
    """Change a key, by name or id: what is not given stays, and null takes it away.

    It counts from the next request on. A key that is disabled opens nothing, and its requests
    under way end, until it is enabled again.
    """
    return await box.keys.edit(name, data)


@post("/keys/{name:str}/rotate", status_code=200)
async def rotate_key(
    box: BoxParam, name: FromPath[str], data: JSONBody[RotateKeyRequest]
) -> CreatedKey:
    """Give a key a new secret, which is in this answer and nowhere else.

    The old secret opens beside it until the grace is over.
    """
    return await box.keys.rotate(name, data)


@delete("/keys/{name:str}", status_code=200)
async def revoke_key(box: BoxParam, name: FromPath[str]) -> KeyView:
    """Revoke a key, by name or id: it opens nothing, and its requests under way end."""
    return await box.keys.revoke(name)
