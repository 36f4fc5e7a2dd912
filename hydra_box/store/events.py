"""The table of events: numbered, and the oldest are removed."""

from __future__ import annotations

import sqlite_utils

from hydra_box.store.tables import EVENTS
from hydra_box.types import Event

KEPT_EVENTS = 10_000
"""The oldest events beyond this number are removed."""

_LAST = (
    "id IN (SELECT id FROM events WHERE :service IS NULL OR service_id = :service "
    "ORDER BY id DESC LIMIT :last)"
)


def add(db: sqlite_utils.Database, event: Event) -> int:
    """Store the event under the next number; returns that number."""
    number = EVENTS.append(db, event)
    db.execute("DELETE FROM events WHERE id <= :last", {"last": number - KEPT_EVENTS})
    return number


def recent(db: sqlite_utils.Database, service_id: str | None, limit: int) -> list[Event]:
    """The last ones, of one service or of all, oldest first."""
    return EVENTS.select(db, _LAST, service=service_id, last=limit)
