"""The table of requests: a row each, which is written once."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import sqlite_utils

from hydra_box.store.rows import Table
from hydra_box.types import Frozen, Outcome, RequestRecord

REQUESTS = Table("requests", RequestRecord, order="at, rowid")

# The columns' names come from this package; values are always bound.
_NAMES = RequestRecord.__struct_fields__
_INSERT = (
    f"INSERT OR IGNORE INTO requests ({', '.join(_NAMES)}) "  # noqa: S608
    f"VALUES ({', '.join(f':{name}' for name in _NAMES)})"
)
_PAGE = (
    f"SELECT rowid AS number, {', '.join(_NAMES)} FROM requests "  # noqa: S608
    "WHERE (at, rowid) > (:after_at, :after_number) AND at < :until "
    "AND (:key IS NULL OR :key IN (key_id, key_name)) "
    "AND (:service IS NULL OR :service IN "
    "(service_id, access_name, substr(access_name, instr(access_name, '/') + 1))) "
    "ORDER BY at, rowid LIMIT :limit"
)


class RequestsPage(Frozen, frozen=True, kw_only=True):
    """Some of the requests, in the order of their end."""

    after_at: float
    """When the last one of the page before ended."""
    after_number: int = -1
    """The number of its row; -1: the page begins at ``after_at``."""
    until: float
    """They ended before this."""
    key: str | None = None
    """Id or name of the key that sent them; None: any."""
    service: str | None = None
    """Name, access name or id of their service; None: any."""
    limit: int = 1000


def insert(db: sqlite_utils.Database, requests: Iterable[RequestRecord]) -> list[RequestRecord]:
    """Insert those whose id is new; returns them."""
    return [one for one in requests if db.execute(_INSERT, msgspec.to_builtins(one)).rowcount == 1]


def select(db: sqlite_utils.Database, page: RequestsPage) -> list[tuple[int, RequestRecord]]:
    """The rows of a page, each with its number, by the time of their end."""
    rows = list(db.query(_PAGE, msgspec.structs.asdict(page)))
    return [(row.pop("number"), REQUESTS.decode(row)) for row in rows]


def remove(db: sqlite_utils.Database, before: float, refused_before: float) -> None:
    """Remove the rows of requests that ended before those moments; their sums stay."""
    db.execute("DELETE FROM requests WHERE at < :before", {"before": before})
    db.execute(
        "DELETE FROM requests WHERE at < :before AND outcome = :refused",
        {"before": refused_before, "refused": Outcome.REFUSED.value},
    )
