"""An engine's event stream, byte-wise: what of it goes to the client, and when.

Nothing is decoded on the way. In JSON a quote inside a string is escaped, so the bytes ``"usage"``
are always a key and never a part of what the model said; that makes searching for them exact.
"""

from __future__ import annotations

import json
import re

import msgspec

from hydra_box.types import ErrorBody, Frozen

LONGEST_HELD_BYTES = 1024 * 1024
"""A longer event is passed on in parts; those with usage or an error are never so long."""

LONGEST_USAGE_BYTES = 4096

_FRAME_END = re.compile(rb"\r?\n\r?\n")
_NO_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')
_USAGE = re.compile(rb'"usage"\s*:\s*(?=\{)')
_ERROR = re.compile(rb'data:\s*(\{\s*"error"\s*:\s*\{.*\})\s*', re.DOTALL)
_usage_text = json.JSONDecoder()


class Usage(Frozen, frozen=True, kw_only=True):
    """Tokens of one answer, as its engine counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


def read_usage(data: bytes) -> Usage | None:
    """The last usage in an answer's bytes, whole or tail; None when there is none."""
    start = data.rfind(b'"usage"')
    while start >= 0:
        if found := _USAGE.match(data, start):
            text = data[found.end() : found.end() + LONGEST_USAGE_BYTES]
            return _read_usage(text.decode("utf-8", "replace"))
        start = data.rfind(b'"usage"', 0, start)
    return None


def _read_usage(text: str) -> Usage | None:
    # The object ends somewhere in the text, which only this decoder takes.
    try:
        values, _ = _usage_text.raw_decode(text)
        return msgspec.convert(values, Usage)
    except (ValueError, RecursionError):
        return None


def error_frame(body: ErrorBody) -> bytes:
    """The event that ends a stream which failed after its first byte."""
    return b"data: %b\n\n" % msgspec.json.encode(body)


class StreamFilter:
    """Bytes from the engine in, bytes for the client out, in whole events.

    However the stream is cut into pieces, the output is the same. The usage chunk (an event
    without choices) is withheld when ``withhold_usage``. An error event of the engine ends the
    output: it is in ``error``, to be translated, and is not passed on.
    """

    __slots__ = ("_held", "_in_long_frame", "_longest", "_usage_in", "_withhold_usage", "error")

    def __init__(
        self, *, withhold_usage: bool, longest_held_bytes: int = LONGEST_HELD_BYTES
    ) -> None:
        self._withhold_usage = withhold_usage
        self._longest = longest_held_bytes
        self._held = b""
        self._in_long_frame = False
        self._usage_in = b""
        self.error: bytes | None = None
        """The JSON of the engine's error event, once one came; feed nothing after it."""

    def feed(self, chunk: bytes) -> bytes:
        """What to send now that ``chunk`` has come; empty while an event is unfinished."""
        if (
            not self._held
            and not self._in_long_frame
            and chunk.endswith(b"\n\n")
            and b'"usage"' not in chunk
            and b'"error"' not in chunk
        ):
            return chunk
        return self._feed_frames(self._held + chunk)

    def finish(self) -> bytes:
        """What is left to send when the stream ended well."""
        rest, self._held = self._held, b""
        return self._pass(rest) if rest else b""

    @property
    def mid_frame(self) -> bool:
        """The client has a part of an event that is not finished."""
        return self._in_long_frame

    def usage(self) -> Usage | None:
        """What the engine counted; ask at the end."""
        return read_usage(self._usage_in)

    def _feed_frames(self, data: bytes) -> bytes:
        passed: list[bytes] = []
        position, length = 0, len(data)
        while position < length:
            if not self._in_long_frame:
                # Empty lines between events belong to none of them, and are passed on.
                start = _skip_newlines(data, position)
                passed.append(data[position:start])
                position = start
            end = _FRAME_END.search(data, position)
            if end is None:
                break
            passed.append(self._pass(data[position : end.end()]))
            position = end.end()
            if self.error is not None:
                self._held = b""
                return b"".join(passed)
        self._held = data[position:]
        if self._in_long_frame or len(self._held) > self._longest:
            passed.append(self._pass_part())
        return b"".join(passed)

    def _pass(self, frame: bytes) -> bytes:
        if self._in_long_frame or len(frame) > self._longest:
            self._in_long_frame = False
            return frame
        if b'"error"' in frame and (found := _ERROR.fullmatch(frame)):
            self.error = found[1]
            return b""
        if b'"usage"' in frame and _USAGE.search(frame):
            self._usage_in = frame
            if self._withhold_usage and _NO_CHOICES.search(frame):
                return b""
        return frame

    def _pass_part(self) -> bytes:
        # The last three bytes may be the beginning of the event's end.
        part, self._held = self._held[:-3], self._held[-3:]
        self._in_long_frame = True
        return part


def _skip_newlines(data: bytes, position: int) -> int:
    while position < len(data) and data[position] in b"\r\n":
        position += 1
    return position
