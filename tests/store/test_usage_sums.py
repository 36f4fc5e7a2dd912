"""The table of what was used: writes add up, and rolling up moves every request as a whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hydra_box.plan.usage import (
    COUNTS,
    DAY_SECONDS,
    HOUR_SECONDS,
    MINUTE_SECONDS,
    Counts,
    UsedSpan,
    plus,
)
from hydra_box.store import usage_sums
from hydra_box.store.migrations import MIGRATIONS, migrate

SPANS = (MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS)
FOREVER = 1 << 40
_counts = itertools.count(1)


def used(start: int = 0, span: int = MINUTE_SECONDS, **changes: Any) -> UsedSpan:
    """A row; each of its counts is another number."""
    values: dict[str, Any] = {
        "span_seconds": span,
        "start": start,
        "key_id": "key-1",
        "key_name": "laptop",
        "user_id": "u-1",
        "user_name": "ann",
        "service_id": "svc-1",
        "access_name": "public/demo",
        **{name: next(_counts) for name in COUNTS},
    }
    return UsedSpan(**values | changes)


@pytest.fixture
def db() -> Iterator[sqlite_utils.Database]:
    with sqlite_utils.Database(memory=True) as db:
        migrate(db, Path("memory"))
        yield db


def total(spans: list[UsedSpan]) -> Counts:
    sums = Counts()
    for one in spans:
        sums = plus(sums, one)
    return sums


def rows(db: sqlite_utils.Database) -> list[tuple[int, int, str, str, int]]:
    columns = "span_seconds, start, key_id, key_name, requests"
    return db.execute(f"SELECT {columns} FROM usage_sums").fetchall()


def test_hours_of_an_older_version_are_kept_with_their_users() -> None:
    hours = [
        (5, "", "(owner)", "svc-1", "public/demo", 1, 0, 3, 4),
        (6, "key-1", "laptop", "svc-1", "public/demo", 10, 2, 30, 40),
    ]
    with sqlite_utils.Database(memory=True) as db:
        MIGRATIONS.apply(db, stop_before="m005_maas")
        users = [("u-1", "local", 1.0), ("u-2", "ann", 2.0)]
        db.conn.executemany("INSERT INTO users (id, name, created_at) VALUES (?, ?, ?)", users)
        db.execute(
            "INSERT INTO keys (id, name, owner_id, sha256, masked, scopes, created_at) "
            "VALUES ('key-1', 'laptop', 'u-2', '', '', '[]', 1)"
        )
        db.conn.executemany(f"INSERT INTO usage_hours VALUES ({', '.join('?' * 9)})", hours)
        migrate(db, Path("memory"))
        found = usage_sums.select(db, 0, FOREVER)
    assert [(one.start, one.key_name, one.user_id, one.user_name) for one in found] == [
        (5 * HOUR_SECONDS, "(owner)", "u-1", "local"),
        (6 * HOUR_SECONDS, "laptop", "u-2", "ann"),
    ]
    assert (found[1].requests, found[1].failed_requests) == (10, 2)
    assert (found[1].prompt_tokens, found[1].completion_tokens) == (30, 40)


def test_rows_of_one_span_key_and_service_add_up(db: sqlite_utils.Database) -> None:
    first, second = used(), used(key_name="notebook", access_name="public/renamed")
    others = [used(60), used(key_id=""), used(service_id="svc-2"), used(span=HOUR_SECONDS)]
    usage_sums.add(db, [first, *others])
    usage_sums.add(db, [second])
    assert len(rows(db)) == 5
    assert total(usage_sums.select(db, 0, FOREVER)) == total([first, second, *others])
    assert db.execute(
        "SELECT key_name, access_name, requests FROM usage_sums "
        "WHERE span_seconds = 60 AND start = 0 AND key_id = 'key-1' AND service_id = 'svc-1'"
    ).fetchone() == ("notebook", "public/renamed", first.requests + second.requests)


def test_reading_adds_up_to_hours_with_the_last_names(db: sqlite_utils.Database) -> None:
    minutes = [used(at, key_name=f"name {at}") for at in (7200, 10_740, 7260)]
    day = used(0, DAY_SECONDS, key_name="of the day")
    usage_sums.add(db, [*minutes, day, used(10_800), used(3600, HOUR_SECONDS)])
    assert [(one.start, one.key_name) for one in usage_sums.select(db, 7200, 10_800)] == [
        (7200, "name 10740")
    ]
    (hour,) = usage_sums.select(db, 7200, 10_800)
    assert (hour.span_seconds, total([hour])) == (HOUR_SECONDS, total(minutes))
    assert [one.start for one in usage_sums.select(db, 0, FOREVER)] == [0, 3600, 7200, 10_800]
    assert [one.start for one in usage_sums.select(db, 1, 3600)] == []


def test_minutes_become_hours_and_hours_days(db: sqlite_utils.Database) -> None:
    usage_sums.add(db, [used(at, requests=1) for at in (0, 60, 3600, 7200)])
    usage_sums.roll_up(db, MINUTE_SECONDS, HOUR_SECONDS, before=7200)
    assert rows(db) == [
        (MINUTE_SECONDS, 7200, "key-1", "laptop", 1),
        (HOUR_SECONDS, 0, "key-1", "laptop", 2),
        (HOUR_SECONDS, 3600, "key-1", "laptop", 1),
    ]
    # One that comes late is added to the hour that the others have become.
    usage_sums.add(db, [used(120, requests=1, key_name="notebook")])
    for _ in range(2):
        usage_sums.roll_up(db, MINUTE_SECONDS, HOUR_SECONDS, before=7200)
        assert (HOUR_SECONDS, 0, "key-1", "notebook", 3) in rows(db)
    usage_sums.roll_up(db, HOUR_SECONDS, DAY_SECONDS, before=DAY_SECONDS)
    assert rows(db) == [
        (MINUTE_SECONDS, 7200, "key-1", "laptop", 1),
        (DAY_SECONDS, 0, "key-1", "laptop", 4),
    ]


def test_tokens_since_are_those_of_the_names_that_match(db: sqlite_utils.Database) -> None:
    def tokens(start: int, prompt: int, **changes: Any) -> UsedSpan:
        return used(start, prompt_tokens=prompt, completion_tokens=1, **changes)

    usage_sums.add(
        db,
        [
            tokens(0, 10),
            tokens(60, 100),
            tokens(DAY_SECONDS, 1000, span=DAY_SECONDS),
            tokens(120, 5, key_id="key-2"),
            tokens(180, 7, service_id="svc-2", access_name="u-1/demo"),
        ],
    )
    assert usage_sums.tokens_since(db, 0, "public/*") == {"key-1": 1113, "key-2": 6}
    assert usage_sums.tokens_since(db, 60, "public/*") == {"key-1": 1102, "key-2": 6}
    assert usage_sums.tokens_since(db, DAY_SECONDS + 1, "public/*") == {}


ROWS = st.builds(
    used,
    start=st.integers(0, 4 * 24 * 60).map(lambda minute: minute * MINUTE_SECONDS),
    key_id=st.sampled_from(["", "key-1", "key-2"]),
    service_id=st.sampled_from(["svc-1", "svc-2"]),
    **{name: st.integers(0, 10**9) for name in COUNTS},
)


# The table is emptied for each example, because making it takes longer than the rest.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.lists(ROWS, max_size=8) | st.tuples(st.sampled_from([0, 1]), st.integers(0, 100)),
        max_size=12,
    )
)
def test_rolling_up_conserves_every_sum(
    db: sqlite_utils.Database, steps: list[list[UsedSpan] | tuple[int, int]]
) -> None:
    db.execute("DELETE FROM usage_sums")
    added: list[UsedSpan] = []
    for step in steps:
        if isinstance(step, list):
            usage_sums.add(db, step)
            added += step
            continue
        span, into = SPANS[step[0]], SPANS[step[0] + 1]
        before = step[1] * HOUR_SECONDS // into * into
        usage_sums.roll_up(db, span, into, before)
        assert not [row for row in rows(db) if row[0] == span and row[1] < before]
    for key_id, service_id in itertools.product(("", "key-1", "key-2"), ("svc-1", "svc-2")):
        kept = usage_sums.select(db, 0, FOREVER)
        assert total(
            [one for one in kept if (one.key_id, one.service_id) == (key_id, service_id)]
        ) == total([one for one in added if (one.key_id, one.service_id) == (key_id, service_id)])
    assert all(start % span == 0 for span, start, *_ in rows(db))


def test_a_service_was_last_used_at_the_end_of_its_newest_span(db: sqlite_utils.Database) -> None:
    assert usage_sums.last_used(db) == {}
    day = DAY_SECONDS
    usage_sums.add(
        db,
        [
            used(0, day),
            used(2 * day, HOUR_SECONDS),
            used(3 * day, key_id="key-2"),
            used(day, HOUR_SECONDS, service_id="svc-2"),
        ],
    )
    assert usage_sums.last_used(db) == {
        "svc-1": 3 * day + MINUTE_SECONDS,
        "svc-2": day + HOUR_SECONDS,
    }
