"""The table of users: the one of this machine, and what goes with a user."""

from __future__ import annotations

import secrets

import sqlite_utils

from hydra_box.messages import LOCAL_USER_NAME
from hydra_box.store.tables import USERS
from hydra_box.types import User


def find_or_make_local(db: sqlite_utils.Database, now: float) -> User:
    """The user of this machine, who is made at the first time."""
    if found := USERS.select(db, "name = :name", name=LOCAL_USER_NAME):
        return found[0]
    user = User(id=f"u-{secrets.token_hex(6)}", name=LOCAL_USER_NAME, created_at=now)
    USERS.save(db, user)
    return user


def remove(db: sqlite_utils.Database, user_id: str) -> None:
    """Remove the user with its keys, if it is there."""
    db.execute("DELETE FROM keys WHERE owner_id = :id", {"id": user_id})
    USERS.delete(db, user_id)
