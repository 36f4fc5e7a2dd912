"""Users: who owns services and keys."""

from __future__ import annotations

from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody

from api.wiring import BoxParam
from hydra_box.messages import CreateUserRequest, EditUserRequest, UserView


@get("/users")
async def list_users(box: BoxParam) -> list[UserView]:
    """Every user, oldest first; the first is the box's owner."""
    return list(box.users.list())


@post("/users", status_code=201)
async def create_user(box: BoxParam, data: JSONBody[CreateUserRequest]) -> UserView:
    """Make a user."""
    return await box.users.create(data)


@get("/users/{name:str}")
async def get_user(box: BoxParam, name: FromPath[str]) -> UserView:
    """One user, by name or id."""
    return box.users.view(box.users.find(name))


@patch("/users/{name:str}")
async def edit_user(
    box: BoxParam, name: FromPath[str], data: JSONBody[EditUserRequest]
) -> UserView:
    """Rename, disable or enable a user, by name or id.

    While it is disabled none of its keys opens anything; their requests under way end.
    """
    return await box.users.edit(name, data)


@delete("/users/{name:str}", status_code=200)
async def delete_user(box: BoxParam, name: FromPath[str]) -> UserView:
    """Delete a user that owns no service, by name or id, with its keys.

    What they used stays in the books, under their names.
    """
    return await box.users.delete(name)
