"""One model under two names: ours in front of an upstream, its own behind it.

In JSON a quote inside a string is escaped, so the bytes ``"model"`` with a colon behind them are
always a key and never a part of what the model said.
"""

from __future__ import annotations

import re

import msgspec

_MOST_OF_A_DATE = 64
"""Characters that an upstream may add to a name, as in ``gpt-4o-2024-08-06``."""

_LONGEST_HELD_BYTES = 1024

_BEGUN = re.compile(rb'"(?:m(?:o(?:d(?:e(?:l(?:"\s*(?::\s*(?:"[^"\\]*"?)?)?)?)?)?)?)?)?\Z')
"""The end of a piece, where it may be the beginning of the key and its value, or just their end:
else the last quote, which might begin a key, would be held apart from them."""

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def ask_for(body: bytes, model: str) -> bytes:
    """A request's body for another name of the model; every other value is byte for byte the same.

    A key that occurs twice is there once afterwards, with its last value: the one that was checked.
    """
    fields = _fields.decode(body)
    fields["model"] = msgspec.Raw(msgspec.json.encode(model))
    return msgspec.json.encode(fields)


class Renaming:
    """How what an upstream calls its model is called here.

    Args:
        theirs: printable ASCII without quotes and backslashes.
        ours: the access name.

    """

    def __init__(self, theirs: str, ours: str) -> None:
        name = re.escape(theirs.encode()).replace(rb"/", rb"\\?/")
        more = rb'(?:[-:@][^"\\]{0,%d})?' % _MOST_OF_A_DATE
        self._value = re.compile(rb'("model"\s*:\s*)"' + name + more + rb'"')
        self._word = re.compile(rb"(?<![\w./-])" + name + rb"(?![\w/-])")
        self._ours = rb"\g<1>" + msgspec.json.encode(ours).replace(b"\\", b"\\\\")
        self._plain = ours.encode()

    def of_answer(self, data: bytes) -> bytes:
        """Whole events or a whole answer, with the model under our name."""
        return self._value.sub(self._ours, data) if b'"model"' in data else data

    def of_error(self, data: bytes) -> bytes:
        """An error answer with our name wherever it has theirs."""
        return self._word.sub(lambda _: self._plain, data)


class RenamedPieces:
    """An answer that comes in pieces: however it is cut, what comes out is renamed."""

    __slots__ = ("_held", "_renaming")

    def __init__(self, renaming: Renaming) -> None:
        self._renaming = renaming
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """What is sure, now that a piece has come; empty while nothing is."""
        data = self._held + piece
        self._held = b""
        # A piece that ends with a whole event ends with no part of a key.
        if not data.endswith(b"\n\n"):
            start = max(0, len(data) - _LONGEST_HELD_BYTES)
            if begun := _BEGUN.search(data, start):
                self._held = data[begun.start() :]
                data = data[: begun.start()]
        return self._renaming.of_answer(data)

    def finish(self) -> bytes:
        """The rest, when the answer has ended."""
        rest, self._held = self._held, b""
        return self._renaming.of_answer(rest)
