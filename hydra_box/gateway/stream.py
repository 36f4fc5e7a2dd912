"""An engine's event stream, byte-wise: what of it goes to the client, and when.

Nothing is decoded on the way. In JSON a quote inside a string is escaped, so the bytes ``"usage"``
are always a key and never a part of what the model said; that makes searching for them exact.
"""

from __future__ import annotations

import re

import msgspec

from hydra_box.engines.counts import USAGE, RunningCounts, Usage
from hydra_box.gateway.event_counts import EventCounts
from hydra_box.types import ErrorBody

LONGEST_HELD_BYTES = 1024 * 1024
"""A longer event is passed on in parts; those with usage or an error are never so long."""

_FRAME_END = re.compile(rb"\r?\n\r?\n")
_NO_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')
_ERROR = re.compile(rb'data:\s*(\{\s*"error"\s*:\s*\{.*\})\s*', re.DOTALL)
_DONE = re.compile(rb"data:\s*\[DONE\]\s*")


def error_frame(body: ErrorBody) -> bytes:
    """The event that ends a stream which failed after its first byte."""
    return b"data: %b\n\n" % msgspec.json.encode(body)


class StreamFilter:
    """Bytes from the engine in, bytes for the client out, in whole events.

    However the stream is cut into pieces, the output is the same. The usage chunk (an event
    without choices) is withheld when ``withhold_usage``, events that only tell how much of the
    prompt is read are when ``withhold_progress``, and what the engine counts on the way is cut out
    when ``withhold_counts``. An error event of the engine ends the output: it is in
    ``error``, to be translated, and is not passed on.

    Args:
        withhold_usage: the client did not ask for the usage chunk.
        counts: how the engine counts on the way; None: it was not asked to.
        withhold_counts: the client did not ask for that.
        withhold_progress: nor for how much of the prompt is read.
        noted: what takes note of the counts.
        longest_held_bytes: a longer event is passed on in parts.

    """

    __slots__ = (
        "_counts", "_final", "_held", "_in_long_frame", "_longest", "_marks", "_noted",
        "_progress", "_withhold_counts", "_withhold_progress", "_withhold_usage", "error", "over",
    )  # fmt: skip

    def __init__(
        self,
        *,
        withhold_usage: bool,
        counts: RunningCounts | None = None,
        withhold_counts: bool = True,
        withhold_progress: bool = True,
        noted: EventCounts | None = None,
        longest_held_bytes: int = LONGEST_HELD_BYTES,
    ) -> None:
        self._withhold_usage = withhold_usage
        self._counts = counts
        self._final = counts.final if counts else b'"usage"'
        self._progress = counts.progress if counts else b""
        told = (self._progress,) if self._progress else ()
        self._marks = (self._final, b'"error"', b"[DONE]", *told)
        self._withhold_counts = withhold_counts
        self._withhold_progress = withhold_progress
        self._noted = noted or EventCounts(counts)
        self._longest = longest_held_bytes
        self._held = b""
        self._in_long_frame = False
        self.error: bytes | None = None
        """The JSON of the engine's error event, once one came; feed nothing after it."""
        self.over = False
        """The answer is known to be whole, and what it took: the last event that matters came."""

    def feed(self, chunk: bytes) -> bytes:
        """What to send now that ``chunk`` has come; empty while an event is unfinished."""
        if self._held or self._in_long_frame or self._noted.many:
            return self._feed_frames(self._held + chunk)
        end = self._plain_end(chunk)
        if end == len(chunk):
            return self._pass_plain(chunk)
        if not end:
            return self._feed_frames(chunk)
        return self._pass_plain(chunk[:end]) + self._feed_frames(chunk[end:])

    def finish(self) -> bytes:
        """What is left to send when the stream ended well."""
        rest, self._held = self._held, b""
        return self._pass(rest) if rest else b""

    @property
    def mid_frame(self) -> bool:
        """The client has a part of an event that is not finished."""
        return self._in_long_frame

    def usage(self) -> Usage | None:
        """What the engine has counted so far; None: nothing."""
        return self._noted.usage()

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
        self._noted.see(frame)
        if self._progress and self._progress in frame:
            self._noted.note(frame)
            return b"" if self._withhold_progress else self._pass_plain(frame)
        if b'"usage"' in frame and self._final in frame and USAGE.search(frame):
            of_all, alone = self._noted.note_final(frame), _NO_CHOICES.search(frame) is not None
            # Some upstreams say in every event what it is so far.
            self.over = self.over or (of_all and alone)
            return b"" if self._withhold_usage and alone else frame
        if b"[DONE]" in frame and _DONE.fullmatch(frame):
            self.over = True
        return self._pass_plain(frame)

    def _plain_end(self, chunk: bytes) -> int:
        """Up to where there are whole events, and none that needs a closer look."""
        first = len(chunk)
        for mark in self._marks:
            if (found := chunk.find(mark, 0, first)) >= 0:
                first = found
        if first == len(chunk) and chunk.endswith(b"\n\n"):
            return first
        end = chunk.rfind(b"\n\n", 0, first)
        return 0 if end < 0 else end + 2

    def _pass_plain(self, events: bytes) -> bytes:
        counts = self._counts
        if counts is None or counts.field not in events:
            return events
        self._noted.note(events)
        return counts.cut(events) if self._withhold_counts else events

    def _pass_part(self) -> bytes:
        # The last three bytes may be the beginning of the event's end.
        part, self._held = self._held[:-3], self._held[-3:]
        self._in_long_frame = True
        return part


def _skip_newlines(data: bytes, position: int) -> int:
    while position < len(data) and data[position] in b"\r\n":
        position += 1
    return position
