"""The table of what was used: a row for each span, key and service.

Spans are minutes, hours and days of UTC. Every request is in exactly one row, whose span is longer
the older it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import sqlite_utils

from hydra_box.plan.usage import COUNTS, DAY_SECONDS, HOUR_SECONDS, MINUTE_SECONDS, UsedSpan

_SPANS = (MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS)
_NAMES = ("key_name", "user_id", "user_name", "access_name")
_COLUMNS = ("span_seconds", "start", "key_id", "service_id", *_NAMES, *COUNTS)

# The columns' names come from this package; values are always bound.
_INTO = f"INSERT INTO usage_sums ({', '.join(_COLUMNS)}) "
# The newest names are shown: a service may have been given another.
_ADDING = "ON CONFLICT (span_seconds, start, key_id, service_id) DO UPDATE SET " + ", ".join(
    (
        *(f"{name} = excluded.{name}" for name in _NAMES),
        *(f"{name} = {name} + excluded.{name}" for name in COUNTS),
    )
)
_ADD = f"{_INTO} VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) {_ADDING}"

# Beside max(), SQLite takes what is not added up from the row that has the maximum: the newest.
_LONGER = (
    f"SELECT :into, start / :into * :into AS begun, key_id, service_id, {', '.join(_NAMES)}, "  # noqa: S608
    f"{', '.join(f'SUM({name})' for name in COUNTS)} FROM usage_sums "
    "WHERE {} GROUP BY begun, key_id, service_id HAVING MAX(start) IS NOT NULL "
)
_OLD = "span_seconds = :span AND start < :before"
_ROLL_UP = f"{_INTO} {_LONGER.format(_OLD)} {_ADDING}"
_REMOVE = f"DELETE FROM usage_sums WHERE {_OLD}"  # noqa: S608
_BETWEEN = f"span_seconds IN ({', '.join(map(str, _SPANS))}) AND start >= :since AND start < :until"
_SELECT = _LONGER.format(_BETWEEN)
_TOKENS_SINCE = (
    "SELECT key_id, SUM(prompt_tokens + completion_tokens) FROM usage_sums "  # noqa: S608
    f"WHERE {_BETWEEN} AND access_name GLOB :access_names GROUP BY key_id"
)
_LAST_USED = "SELECT service_id, MAX(start + span_seconds) FROM usage_sums GROUP BY service_id"


def add(db: sqlite_utils.Database, spans: Iterable[UsedSpan]) -> None:
    """Add to the rows of those spans, keys and services, or insert them."""
    for span in spans:
        db.execute(_ADD, msgspec.structs.asdict(span))


def select(db: sqlite_utils.Database, since: int, until: int) -> list[UsedSpan]:
    """What was used in spans that begin from ``since`` to before ``until``, added up to hours.

    A day stands there as its first hour.
    """
    values = {"since": since, "until": until, "into": HOUR_SECONDS}
    rows = db.execute(_SELECT, values)
    return [msgspec.convert(dict(zip(_COLUMNS, row, strict=True)), UsedSpan) for row in rows]


def roll_up(db: sqlite_utils.Database, span: int, into: int, before: int) -> None:
    """Add the rows of a span that begin before a moment up to rows of a longer span.

    Args:
        db: the database.
        span: of the rows to move, in seconds.
        into: of the rows that they become, in seconds; a multiple of ``span``.
        before: a start of such a longer span, in seconds since the epoch.

    """
    values = {"span": span, "into": into, "before": before}
    db.execute(_ROLL_UP, values)
    db.execute(_REMOVE, {"span": span, "before": before})


def tokens_since(db: sqlite_utils.Database, since: int, access_names: str) -> Mapping[str, int]:
    """Tokens of each key, by its id, of the services whose access names match the glob."""
    values = {"since": since, "until": 1 << 62, "access_names": access_names}
    return dict(db.execute(_TOKENS_SINCE, values).fetchall())


def last_used(db: sqlite_utils.Database) -> Mapping[str, float]:
    """Service id to the end of the newest span in which it was called."""
    return dict(db.execute(_LAST_USED).fetchall())
