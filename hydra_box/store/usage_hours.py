"""The table of what was used: a row an hour, key and service, which only ever grows."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import sqlite_utils

from hydra_box.plan.usage import UsageHour

_NAMES = UsageHour.__struct_fields__
_COLUMNS = ", ".join(_NAMES)
_SUMS = ("requests", "failed_requests", "prompt_tokens", "completion_tokens")
# The newest names are shown: a service may have been given another.
_UPDATES = ", ".join(
    (
        *(f"{name} = excluded.{name}" for name in ("key_name", "access_name")),
        *(f"{name} = {name} + excluded.{name}" for name in _SUMS),
    )
)
# The columns' names come from this package; values are always bound.
_ADD = (
    f"INSERT INTO usage_hours ({_COLUMNS}) "  # noqa: S608
    f"VALUES ({', '.join(f':{name}' for name in _NAMES)}) "
    f"ON CONFLICT (hour, key_id, service_id) DO UPDATE SET {_UPDATES}"
)
_SELECT = (
    f"SELECT {_COLUMNS} FROM usage_hours "  # noqa: S608
    "WHERE hour BETWEEN :first AND :last ORDER BY hour, key_id, service_id"
)


def add(db: sqlite_utils.Database, hours: Iterable[UsageHour]) -> None:
    """Add to the rows of those hours, keys and services, or insert them."""
    for hour in hours:
        db.execute(_ADD, msgspec.structs.asdict(hour))


def select(db: sqlite_utils.Database, first: int, last: int) -> list[UsageHour]:
    """The rows of the hours from ``first`` to ``last``."""
    rows = db.query(_SELECT, {"first": first, "last": last})
    return [msgspec.convert(row, UsageHour) for row in rows]
