"""One catalog file: TOML to entries; every mistake is told by file, line and key."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from hydra_box.catalog.entry import (
    Companion,
    Entry,
    GgufOffer,
    Projector,
    SafetensorsOffer,
    TokenPrice,
    broken_rule,
)
from hydra_box.catalog.lines import Key, KeyPath, key_lines, nearest_line
from hydra_box.errors import ConfigError
from hydra_box.models.shapes import Shape
from hydra_box.types import EngineName, Hosting, Modality

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<key>key` in `)?\$(?P<path>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_STEP = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+)\]|\[(?P<any>\.\.\.)\]")
_TOML_LINE = re.compile(r" \(at line (\d+), column \d+\)$| \(at end of document\)$")

_TABLES: dict[tuple[str, ...], type[msgspec.Struct]] = {
    (): Entry,
    ("gguf",): GgufOffer,
    ("gguf", "companions"): Companion,
    ("gguf", "projector"): Projector,
    ("price",): TokenPrice,
    ("safetensors",): SafetensorsOffer,
    ("shape",): Shape,
}
"""Where the tables of an entry are; for the keys that are known there."""

_WORDS: dict[str, type[StrEnum]] = {
    "hosting": Hosting,
    "minimum": EngineName,
    "modality": Modality,
}
"""Keys whose values, or whose own keys, are among a few words."""

_FORMS = {
    "minimum": "write numbers with dots, such as 0.32.0",
    "quantization": "write it as its publisher does, such as AWQ",
    "quantizations": "write it as its publisher does, such as Q4_K_M",
    "repo": "write org/name",
    "tags": "write lower-case words joined by hyphens",
}
"""Keys whose values have a form, in words."""


def read_entries(file: Path) -> dict[str, Entry]:
    """The entries of ``file`` by id; their ``path`` is made absolute.

    Raises:
        ConfigError: the message starts with ``<file>:<line>: <key>``; the hint has the nearest
            valid key.

    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{file} cannot be read: {why}") from error
    return _Reader(file, text).entries()


class _Reader:
    def __init__(self, file: Path, text: str) -> None:
        self._file = file
        self._text = text
        self._lines: dict[KeyPath, int] | None = None

    def entries(self) -> dict[str, Entry]:
        document = self._document()
        for key in document:
            if key != "models":
                self._fail((key,), f"unknown table {key!r}", "use [models.<id>] tables")
        tables = document.get("models", {})
        if not isinstance(tables, dict):
            self._fail(("models",), "'models' is not a table", "use [models.<id>] tables")
        return {id: self._entry(id, table) for id, table in tables.items()}

    def _document(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            found = _TOML_LINE.search(str(error))
            line = found[1] if found else None
            number = int(line) if line else self._text.rstrip().count("\n") + 1
            message = _TOML_LINE.sub("", str(error))
            raise ConfigError(f"{self._file}:{number}: {message}") from error

    def _entry(self, id: str, table: object) -> Entry:
        if not _ID.fullmatch(id):
            self._fail(
                ("models", id),
                f"{dotted(('models', id))} is not a valid id",
                "use lower-case letters, digits, dots, hyphens and underscores",
            )
        try:
            entry = msgspec.convert(table, Entry)
        except msgspec.ValidationError as error:
            self._explain(id, table, str(error))
        if (broken := broken_rule(entry)) is not None:
            path, what = broken
            self._fail(("models", id, *path), f"{dotted(('models', id, *path))} {what}")
        return self._with_full_paths(entry)

    def _with_full_paths(self, entry: Entry) -> Entry:
        paths = (entry.path,) if isinstance(entry.path, str) else entry.path
        full = tuple(str(self._file.parent / Path(one).expanduser()) for one in paths)
        return msgspec.structs.replace(entry, path=full)

    def _explain(self, id: str, table: object, message: str) -> NoReturn:
        found = _AT.match(message)
        what, steps = (found["what"], found["path"] or "") if found else (message, "")
        path = _follow(table, steps, message)
        full = ("models", id, *path)
        if unknown := _UNKNOWN.fullmatch(what):
            self._fail_unknown(full, path, unknown[1])
        self._fail(full, f"{dotted(full)}: {what}", _hint(path, what))

    def _fail_unknown(self, table: KeyPath, inside: KeyPath, key: str) -> NoReturn:
        known = _TABLES[tuple(one for one in inside if isinstance(one, str))].__struct_fields__
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
        path = (*table, key)
        self._fail(path, f"{dotted(path)} is unknown", f"the nearest is {near[0]!r}")

    def _fail(self, path: KeyPath, what: str, hint: str | None = None) -> NoReturn:
        if self._lines is None:
            self._lines = key_lines(self._text)
        line = nearest_line(self._lines, path)
        raise ConfigError(f"{self._file}:{line}: {what}", hint=hint)


def dotted(path: KeyPath) -> str:
    """``models.x.gguf[0].repo``; keys are quoted where TOML wants it."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += f".{key}" if _BARE.fullmatch(key) else f'."{key}"'
    return text.removeprefix(".")


def _hint(path: KeyPath, what: str) -> str | None:
    for key in reversed(path):
        if key in _WORDS and what.startswith("Invalid enum value"):
            return f"one of {', '.join(_WORDS[str(key)])}"
        if key in _FORMS and "matching regex" in what:
            return _FORMS[str(key)]
    return None


def _follow(table: object, steps: str, message: str) -> KeyPath:
    """The path that msgspec's ``steps`` (``.gguf[0].repo``) name in an entry's table."""
    path: list[Key] = []
    for step in _STEP.finditer(steps):
        if step["name"]:
            path.append(step["name"])
        elif step["index"]:
            path.append(int(step["index"]))
        elif (key := _culprit(table, path, message)) is not None:
            path.append(key)
    if "key` in `" in message and (key := _culprit(table, path, message)) is not None:
        path.append(key)
    return tuple(path)


def _culprit(table: object, path: list[Key], message: str) -> str | None:
    """Which key of the table at ``path`` the ``message`` is about: msgspec says only ``[...]``."""
    inner: Any = table
    for key in path:
        inner = inner[key]
    for key, value in inner.items() if isinstance(inner, dict) else ():
        try:
            msgspec.convert(_replaced(table, path, {key: value}), Entry)
        except msgspec.ValidationError as error:
            if str(error) == message:
                return str(key)
    return None


def _replaced(value: Any, path: list[Key], inner: Mapping[str, object]) -> object:
    if not path:
        return inner
    first, *rest = path
    pairs = enumerate(value) if isinstance(value, list) else value.items()
    changed = {key: _replaced(one, rest, inner) if key == first else one for key, one in pairs}
    return list(changed.values()) if isinstance(value, list) else changed
