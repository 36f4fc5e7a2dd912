"""What a database file looks like from outside: its tables and their sizes, not their rows."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hydra_box.store.backup import connected
from hydra_box.store.database import translated
from hydra_box.types import Frozen


class Inspected(Frozen, frozen=True, kw_only=True):
    """What is known of a database without reading what it says."""

    path: str
    size_bytes: int
    quick_check: str
    """``ok``, or what is wrong with its pages."""
    rows: dict[str, int]
    """Table to its number of rows."""
    tables: tuple[str, ...]
    """How they were created, and their indexes."""


def inspect(path: Path) -> Inspected:
    """Look at a database that may be in use; nothing is changed. Blocking.

    Raises:
        StateError: there is none, or it is so damaged that not even its tables can be listed.

    """
    with translated(path), connected(path) as connection:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        schema = connection.execute(
            "SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
        ).fetchall()
        names = [name for name, kind, _ in schema if kind == "table"]
        return Inspected(
            path=str(path),
            size_bytes=path.stat().st_size,
            quick_check=" ".join(verdict.split()),
            rows={name: _count(connection, name) for name in names},
            tables=tuple(sql for _, _, sql in schema),
        )


def _count(connection: sqlite3.Connection, table: str) -> int:
    quoted = '"' + table.replace('"', '""') + '"'
    (count,) = connection.execute(f"SELECT COUNT(*) FROM {quoted}").fetchone()  # noqa: S608
    return int(count)
