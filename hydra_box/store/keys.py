"""The table of keys: when they were last used."""

from __future__ import annotations

from collections.abc import Mapping

import sqlite_utils

_TOUCH = "UPDATE keys SET last_used_at = MAX(IFNULL(last_used_at, :at), :at) WHERE id = :id"


def touch(db: sqlite_utils.Database, last_used_at: Mapping[str, float]) -> None:
    """Note when keys (by id) were last used; a time never moves backwards."""
    for id, at in last_used_at.items():
        db.execute(_TOUCH, {"id": id, "at": at})
