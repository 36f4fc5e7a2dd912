"""Structs become rows and come back the same, whatever is in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlite_utils
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.errors import StateError
from hydra_box.store import tables
from hydra_box.store.migrations import migrate
from hydra_box.store.rows import Table
from hydra_box.types import ApiKey, Event, Frozen, Instance, Runtime, Service, User
from tests.samples import a_runtime, a_service, structs


@pytest.fixture(scope="module")
def db() -> Iterator[sqlite_utils.Database]:
    # Foreign keys are off here: each table is tested alone.
    with sqlite_utils.Database(memory=True) as database:
        migrate(database, Path(":memory:"))
        yield database


def _round_trip(db: sqlite_utils.Database, table: Table[Any], value: Any) -> list[Any]:
    with db.atomic():
        table.save(db, value)
        found = table.select(db, "id = :id", id=value.id)
        table.delete(db, value.id)
        assert table.select(db) == []
    return found


@given(value=structs(User))
def test_users(db: sqlite_utils.Database, value: User) -> None:
    assert _round_trip(db, tables.USERS, value) == [value]


@given(value=structs(Service))
def test_services(db: sqlite_utils.Database, value: Service) -> None:
    assert _round_trip(db, tables.SERVICES, value) == [value]


@given(value=structs(Instance))
def test_instances(db: sqlite_utils.Database, value: Instance) -> None:
    assert _round_trip(db, tables.INSTANCES, value) == [value]


@given(value=structs(ApiKey))
def test_keys(db: sqlite_utils.Database, value: ApiKey) -> None:
    assert _round_trip(db, tables.KEYS, value) == [value]


@given(value=structs(Event))
def test_events(db: sqlite_utils.Database, value: Event) -> None:
    assert _round_trip(db, tables.EVENTS, value) == [value]


@given(value=structs(Runtime))
def test_runtimes(db: sqlite_utils.Database, value: Runtime) -> None:
    assert _round_trip(db, tables.RUNTIMES, value) == [value]


@given(first=structs(Service), second=structs(Service))
def test_saving_again_replaces_every_column(
    db: sqlite_utils.Database, first: Service, second: Service
) -> None:
    second = msgspec.structs.replace(second, id=first.id)
    with db.atomic():
        tables.SERVICES.save(db, first)
        assert _round_trip(db, tables.SERVICES, second) == [second]


@given(text=st.sampled_from(["'; DROP TABLE services; --", "null", "0", "[]", 'a"b', "\0", ":id"]))
def test_text_stays_text(db: sqlite_utils.Database, text: str) -> None:
    value = a_service(text, base_model=text, owner_id=text)
    assert _round_trip(db, tables.SERVICES, value) == [value]


@pytest.mark.parametrize(
    ("table", "value", "column", "content"),
    [
        (tables.SERVICES, a_service(), "engine", "steam"),
        (tables.SERVICES, a_service(), "context_length", "many"),
        (tables.SERVICES, a_service(), "public", 7),
        (tables.RUNTIMES, a_runtime(), "argv", "not JSON"),
        (tables.RUNTIMES, a_runtime(), "argv", "[1]"),
        (tables.RUNTIMES, a_runtime(), "argv", b"\xff"),
    ],
)
def test_a_row_that_was_tampered_with_names_itself(
    db: sqlite_utils.Database, table: Table[Any], value: Frozen, column: str, content: object
) -> None:
    row = table.encode(value) | {column: content}
    with pytest.raises(StateError, match=f"of {table.name} cannot be read") as caught:
        table.decode(row)
    assert caught.value.hint
