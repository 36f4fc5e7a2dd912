"""Users, as they are made, changed and listed."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, UnsetType

from hydra_box.messages.base import Request
from hydra_box.types import Frozen

LOCAL_USER_NAME: Final = "local"
"""The name of the user who is the box's owner, and who keeps it."""


class CreateUserRequest(Request, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/users``."""

    name: str


class EditUserRequest(Request, frozen=True, kw_only=True):
    """Body of ``PATCH /api/v1/users/{name}``: what is not given stays."""

    name: str | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    """True: none of its keys opens anything, and its streams under way end; until enabled."""


class UserView(Frozen, frozen=True, kw_only=True):
    """An owner of services and keys."""

    id: str
    name: str
    created_at: float
    disabled_at: float | None
    keys: int
    """That are not revoked."""
    services: int
