"""How a file of an older version gets the tables of this one, and how a newer one is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import sqlite_utils
from sqlite_utils import Migrations

from hydra_box.errors import StateError
from hydra_box.store.schema import STEPS

_APPLIED = "SELECT name FROM _sqlite_migrations WHERE migration_set = :set ORDER BY id"

MIGRATIONS = Migrations("hydra_box")
for _step in STEPS:
    MIGRATIONS()(_step)


def applied(db: sqlite_utils.Database) -> list[str]:
    """The migrations that a file has had, oldest first; nothing is changed."""
    if not db[MIGRATIONS.migrations_table].exists():
        return []
    rows = db.execute(_APPLIED, {"set": MIGRATIONS.name})
    return [name for (name,) in rows.fetchall()]


def refuse_newer(names: Iterable[str], path: Path) -> None:
    """Let only files pass whose tables this version knows.

    Raises:
        StateError: a newer Hydra Box has changed the file in a way that this one does not know.

    """
    known = {step.__name__ for step in STEPS}
    if unknown := sorted(set(names) - known):
        raise StateError(
            f"{path} was written by a newer Hydra Box: it has {', '.join(unknown)}",
            hint="update Hydra Box, or set HYDRA_BOX_HOME to another directory",
        )


def migrate(
    db: sqlite_utils.Database, path: Path, keep: Callable[[str], None] | None = None
) -> None:
    """Bring the file to this version's tables; an empty one gets them all.

    Args:
        db: the file.
        path: its name, for errors.
        keep: makes a copy of a file that has something; given the name of the next migration.

    Raises:
        StateError: a newer Hydra Box has changed the file in a way that this one does not know.

    """
    has = applied(db)
    refuse_newer(has, path)
    todo = [step.__name__ for step in STEPS if step.__name__ not in has]
    if has and todo and keep is not None:
        keep(todo[0])
    MIGRATIONS.apply(db)
