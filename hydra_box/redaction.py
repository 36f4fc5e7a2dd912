"""Text without secrets and without what people asked: for what leaves the box.

It errs on the side of taking away: a word too many that is gone costs a question, a key costs more.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

GONE: Final = "[redacted]"
SHORTEST: Final = 6
"""Characters of a known secret; shorter ones are found in words that are none."""

_NAMES: Final = (
    r"(?:api[-_]?key|access[-_]?key|private[-_]?key|token|secret|password|passwd|passphrase|"
    r"credentials?|authorization|cookie)"
)
"""What fields, variables and flags that hold a secret are called."""
_ASKED: Final = r"(?:prompt|content|text|input|arguments|system|query|document)"
"""What fields that hold what people asked, or were answered, are called."""
_QUOTED: Final = r"\"(?:\\.|[^\"\\\n])*(?:\"|$)|'(?:\\.|[^'\\\n])*(?:'|$)"
_VALUE: Final = rf"(?:{_QUOTED}|[^\s,;}}\]]*\[redacted\]|[^\s,;}}\]]+)"
_RULES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE | re.MULTILINE), replacement)
    for pattern, replacement in (
        (r"\bhb-[\w-]{20,}", f"hb-{GONE}"),
        (r"\b(hf_|sk-|sk_|gsk_|xai-|gh[opsu]_|glpat-|nvapi-)[\w-]{8,}", rf"\1{GONE}"),
        (r"\b(bearer|basic)\s+[\w.~+/=-]{4,}", rf"\1 {GONE}"),
        (r"([a-z][a-z0-9+.-]*://)[^/\s@\"'<>]+@", rf"\1{GONE}@"),
        (r"([a-z][a-z0-9+.-]*://[^\s?\"'<>]*)\?[^\s\"'<>]*", rf"\1?{GONE}"),
        (
            rf"(\b[\w-]*{_NAMES}[\"']?\s*[:=]\s*)(?!(?:bearer|basic)\b){_VALUE}",
            rf'\1"{GONE}"',
        ),
        (rf"(--[\w-]*{_NAMES})(=|\s+)(?:{_QUOTED}|\S+)", rf"\1\2{GONE}"),
        (rf"(\b{_ASKED}[\"']?\s*[:=]\s*)(?:{_QUOTED})", rf'\1"{GONE}"'),
    )
)
_PEM: Final = re.compile(
    r"-----BEGIN [^-]*PRIVATE KEY-----.*?(?:-----END [^-]*-----|\Z)", re.DOTALL
)
_SECRET_NAME: Final = re.compile(rf"{_NAMES}$|(?:^|_)key$", re.IGNORECASE)


class Redactor:
    """Takes secrets away: those that it knows, and what looks like one.

    Args:
        known: secrets of this box, which are taken away wherever they are.

    """

    def __init__(self, known: Collection[str] = ()) -> None:
        long = {one for one in known if len(one) >= SHORTEST}
        # The longest first: one may begin with another.
        self._known = sorted(long, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without them."""
        for secret in self._known:
            text = text.replace(secret, GONE)
        text = _PEM.sub(GONE, text)
        for pattern, replacement in _RULES:
            text = pattern.sub(replacement, text)
        return text

    def value(self, value: Any) -> Any:
        """What JSON is made of, without them; of a field that is named like one, its text goes."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {name: self._field(name, inside) for name, inside in value.items()}
            case list() | tuple():
                return [self.value(one) for one in value]
        return value

    def _field(self, name: str, value: Any) -> Any:
        if isinstance(value, str) and value and _SECRET_NAME.search(name):
            return GONE
        return self.value(value)


def secrets_of(environ: Mapping[str, str]) -> set[str]:
    """The values of variables that are named like a secret."""
    return {value for name, value in environ.items() if _SECRET_NAME.search(name)}


def lines_of(directory: Path, pattern: str) -> set[str]:
    """The first lines of a directory's files: keys, where there is one a file."""
    found = set()
    for path in directory.glob(pattern):
        if path.is_file():
            found.add(path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip())
    return found
