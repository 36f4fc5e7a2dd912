"""Structs as lines of CSV, for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

_TIME = "at"


def header(kind: type[msgspec.Struct]) -> str:
    """The line with the names of the columns, which are those of the fields."""
    return _text([kind.__struct_fields__])


def lines(values: Iterable[msgspec.Struct]) -> str:
    """A line for each value; None is empty, and ``at`` a time of this machine with its offset."""
    return _text([_cell(name, it) for name, it in _fields(value)] for value in values)


def _fields(value: msgspec.Struct) -> Iterable[tuple[str, Any]]:
    return msgspec.structs.asdict(value).items()


def _cell(name: str, value: Any) -> Any:
    if name == _TIME:
        return datetime.fromtimestamp(round(value, 3)).astimezone().isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _text(rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
