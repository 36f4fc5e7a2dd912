"""Tokens as engines count them: at the end of an answer, and event by event on the way there.

In JSON a quote inside a string is escaped, so the bytes ``"usage"`` are always a key and never a
part of what the model said; that makes searching for them exact.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Annotated

import msgspec

from hydra_box.types import Frozen

LONGEST_USAGE_BYTES = 4096

USAGE = re.compile(rb'"usage"\s*:\s*(?=\{)')
_text = json.JSONDecoder()


class Usage(Frozen, frozen=True, kw_only=True):
    """Tokens of one answer, or of one choice of it."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompt tokens: those that were in the engine's cache."""
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    """Of the completion tokens."""

    @property
    def tokens(self) -> int:
        """Of the prompt and of the answer."""
        return self.prompt_tokens + self.completion_tokens


class RunningCounts(Frozen, frozen=True, kw_only=True):
    """How an engine is made to put its counts into every event of a stream, and how they look.

    With them, what was generated is known also of a stream that ends in the middle.
    """

    member: bytes = b""
    """The member of the body that asks for them; empty: there is none."""
    stream_option: bytes = b""
    """The member of ``stream_options`` that asks for them; empty: there is none."""
    field: bytes
    """How the counts in an event begin: the key with its quotes, and what follows."""
    final: bytes
    """What stands in every event with the usage at the end, and in few others that have counts."""
    cut: Callable[[bytes], bytes]
    """Events as they would be if it had not been asked."""
    read: Callable[[bytes], Usage | None]
    """The last counts in an event, of the one choice that the event is about."""
    final_is_total: bool
    """The usage at the end is that of all choices; else each choice has one of its own."""
    progress: bytes = b""
    """What stands in events that tell how much of the prompt is read; empty: there are none."""


Counted = Annotated[int, msgspec.Meta(ge=0, le=2**28)]
"""What can be a number of tokens of one request; an upstream may say anything."""


class _PromptDetails(msgspec.Struct):
    cached_tokens: Counted | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: Counted | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: Counted = 0
    completion_tokens: Counted = 0
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


def read_usage(data: bytes) -> Usage | None:
    """The last usage in an answer's bytes, whole or tail; None when there is none."""
    start = data.rfind(b'"usage"')
    while start >= 0:
        if found := USAGE.match(data, start):
            text = data[found.end() : found.end() + LONGEST_USAGE_BYTES]
            return _read_usage(text.decode("utf-8", "replace"))
        start = data.rfind(b'"usage"', 0, start)
    return None


def _read_usage(text: str) -> Usage | None:
    # The object ends somewhere in the text, which only this decoder takes.
    try:
        values, _ = _text.raw_decode(text)
        usage = msgspec.convert(values, _Usage)
    except (ValueError, RecursionError):
        return None
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=(prompt.cached_tokens if prompt else None) or 0,
        completion_tokens=usage.completion_tokens,
        reasoning_tokens=(completion.reasoning_tokens if completion else None) or 0,
    )
