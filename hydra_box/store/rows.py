"""Structs as rows and back: a column a field; tuples and structs as JSON text."""

from __future__ import annotations

import json
import types
import typing
from typing import Any, Generic, TypeVar

import msgspec
import sqlite_utils

from hydra_box.errors import StateError
from hydra_box.types import Frozen

T = TypeVar("T", bound=Frozen)
Row = dict[str, Any]
"""One row as sqlite3 takes and gives it; ``Table`` is where it gets its type."""

_BOOLEANS = {0: False, 1: True}


class Table(Generic[T]):
    """A table whose columns are the fields of one struct, with ``id`` as its key."""

    def __init__(self, name: str, kind: type[T], *, order: str) -> None:
        self.name = name
        self._kind = kind
        fields = msgspec.structs.fields(kind)
        self._json = {field.name for field in fields if _is_nested(field.type)}
        self._bool = {field.name for field in fields if field.type is bool}
        names = [field.name for field in fields]
        columns, values = ", ".join(names), ", ".join(f":{one}" for one in names)
        updates = ", ".join(f"{one} = excluded.{one}" for one in names if one != "id")
        # Names of tables and columns come from this package; values are always bound.
        self._insert = f"INSERT INTO {name} ({columns}) VALUES ({values})"  # noqa: S608
        self._upsert = f"{self._insert} ON CONFLICT (id) DO UPDATE SET {updates}"
        self._select = f"SELECT {columns} FROM {name} WHERE {{}}"  # noqa: S608
        self._order = f" ORDER BY {order} LIMIT :limit"
        self._delete = f"DELETE FROM {name} WHERE id = :id"  # noqa: S608

    def save(self, db: sqlite_utils.Database, value: T) -> None:
        """Insert the value, or replace the row that has its id (what refers to it stays)."""
        db.execute(self._upsert, self.encode(value))

    def append(self, db: sqlite_utils.Database, value: T) -> int:
        """Insert the value under the next number; returns that number."""
        number = db.execute(self._insert, self.encode(value) | {"id": None}).lastrowid
        assert number is not None  # noqa: S101 - an INSERT always has one
        return number

    def select(
        self, db: sqlite_utils.Database, where: str = "TRUE", /, limit: int = -1, **values: object
    ) -> list[T]:
        """The values whose rows satisfy ``where``, a condition with ``:name`` for each value.

        Raises:
            StateError: a row is not one that this package could have written.

        """
        sql = self._select.format(where) + self._order
        return [self.decode(row) for row in db.query(sql, {"limit": limit, **values})]

    def delete(self, db: sqlite_utils.Database, id: str) -> None:
        """Remove the row, if there is one."""
        db.execute(self._delete, {"id": id})

    def encode(self, value: T) -> Row:
        """The value as a row."""
        row: Row = msgspec.to_builtins(value)
        nested = {name: row[name] for name in self._json}
        return row | {name: None if it is None else json.dumps(it) for name, it in nested.items()}

    def decode(self, row: Row) -> T:
        """The row as a value."""
        try:
            texts = {name: row[name] for name in self._json if row[name] is not None}
            values = row | {name: json.loads(text) for name, text in texts.items()}
            values |= {name: _BOOLEANS.get(row[name], row[name]) for name in self._bool}
            return msgspec.convert(values, self._kind)
        except (TypeError, ValueError) as error:
            raise StateError(
                f"the row {row['id']!r} of {self.name} cannot be read: {error}",
                hint="put a backup in the place of the database",
            ) from error


def _is_nested(kind: Any) -> bool:
    """Whether a field's type, or one of its union, is a tuple or a struct."""
    is_union = typing.get_origin(kind) in (types.UnionType, typing.Union)
    parts = typing.get_args(kind) if is_union else (kind,)
    return any(
        typing.get_origin(one) is tuple or (isinstance(one, type) and issubclass(one, Frozen))
        for one in parts
    )
