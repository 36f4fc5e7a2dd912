"""Which line of a TOML text each key stands on, because ``tomllib`` does not say.

The text has been parsed already, so the scan relies on it being valid and only keeps count. It
follows TOML 1.0: tables, arrays of tables, dotted and quoted keys, inline tables, multi-line
strings and arrays.
"""

from __future__ import annotations

import re
import tomllib

Key = str | int
"""A key of a table, or an index of an array."""
KeyPath = tuple[Key, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?!")'
    r"|'''.*?'''(?!')"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}\n#]+")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of every table, key and array element of a valid TOML ``text``.

    A table is where its header stands, or the first key that makes it; a key is where it is
    written, not where its value ends.
    """
    return _Scan(text).lines


def nearest_line(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """The line of ``path``, or of the nearest table around it; 1 if there is none."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Scan:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0
        self.lines: dict[KeyPath, int] = {}
        self._lengths: dict[KeyPath, int] = {}
        """How many tables each array of tables has so far."""
        self._document()

    def _document(self) -> None:
        table: KeyPath = ()
        self._skip()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip()

    def _header(self) -> KeyPath:
        is_array = self._text.startswith("[[", self._at)
        line = self._current_line()
        self._at += 2 if is_array else 1
        *above, last = self._keys()
        self._skip()
        self._at += 2 if is_array else 1
        path: KeyPath = ()
        for key in above:
            path = self._element((*path, key))
            self.lines.setdefault(path, line)
        path = (*path, last)
        self.lines.setdefault(path, line)
        if is_array:
            self._lengths[path] = self._lengths.get(path, 0) + 1
            path = self._element(path)
            self.lines[path] = line
        return path

    def _element(self, path: KeyPath) -> KeyPath:
        """The last table of the array of tables at ``path``, or ``path`` if it is none."""
        return (*path, self._lengths[path] - 1) if path in self._lengths else path

    def _pair(self, table: KeyPath) -> None:
        line = self._current_line()
        path = table
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._skip()
        self._at += 1  # the equals sign
        self._value(path)

    def _keys(self) -> list[str]:
        keys = [self._key()]
        self._skip()
        while self._text[self._at] == ".":
            self._at += 1
            keys.append(self._key())
            self._skip()
        return keys

    def _key(self) -> str:
        self._skip()
        if quoted := _STRING.match(self._text, self._at):
            self._at = quoted.end()
            return str(tomllib.loads(f"key = {quoted[0]}")["key"])
        bare = _BARE_KEY.match(self._text, self._at)
        assert bare is not None, "the text is valid TOML"  # noqa: S101 - an invariant
        self._at = bare.end()
        return bare[0]

    def _value(self, path: KeyPath) -> None:
        self._skip()
        opening = self._text[self._at]
        if opening == "[":
            self._items("]", path)
        elif opening == "{":
            self._items("}", path)
        elif found := _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at):
            self._at = found.end()

    def _items(self, closing: str, path: KeyPath) -> None:
        self._at += 1
        index = 0
        self._skip()
        while self._text[self._at] != closing:
            if closing == "}":
                self._pair(path)
            else:
                self.lines[*path, index] = self._current_line()
                self._value((*path, index))
            index += 1
            self._skip()
            if self._text[self._at] == ",":
                self._at += 1
                self._skip()
        self._at += 1

    def _skip(self) -> None:
        blank = _BLANK.match(self._text, self._at)
        self._at = blank.end() if blank else self._at

    def _current_line(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line
