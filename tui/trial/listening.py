"""Gathers one streamed answer and measures it.

The times are taken where the chunks are read, so that a busy screen makes no answer look slow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from hydra_box.shown.text import harmless
from tui.trial.conversation import Answer, Problem
from tui.trial.thinking import split_thinking

SHORTEST_SPAN_SECONDS: Final = 0.02
"""A small model's tokens can all be there before the first is read."""

# Markdown counts lines by \n alone, its widget by everything that Python takes for a line's end.
_LINE_ENDS: Final = {ord("\r"): None, 0x2028: "\n", 0x2029: "\n"}

Chunk = Mapping[str, Any]


def timed(
    ask: Callable[[], Iterator[Chunk]], clock: Callable[[], float] = time.monotonic
) -> Iterator[tuple[float, Chunk]]:
    """Each chunk with the time it came; first an empty one, when the question is sent."""
    yield clock(), {}
    for chunk in ask():
        yield clock(), chunk


def clean(text: str) -> str:
    """Text of a model, without what could steer a terminal or confuse the Markdown."""
    return harmless(text.translate(_LINE_ENDS))


class Listener:
    """What has come so far of one answer."""

    def __init__(self, access_name: str, context_length: int) -> None:
        self._access_name = access_name
        self._context_length = context_length
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._usage: Mapping[str, Any] = {}
        self._finish_reason: str | None = None
        self._asked: float | None = None
        self._first: float | None = None
        self._last = 0.0

    @property
    def pieces(self) -> int:
        """How many deltas had text."""
        return len(self._content) + len(self._reasoning)

    @property
    def ttft_seconds(self) -> float | None:
        """From sending the question to the first text; None: there is none."""
        if self._first is None or self._asked is None:
            return None
        return self._first - self._asked

    def take(self, at: float, chunk: Chunk) -> None:
        """One ``chat.completion.chunk``, and when it came."""
        if self._asked is None:
            self._asked = at
        self._last = at
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
            delta = choice.get("delta") or {}
            self._add(self._reasoning, delta.get("reasoning_content") or delta.get("reasoning"), at)
            self._add(self._content, delta.get("content"), at)

    def text(self, *, ended: bool = False) -> tuple[str, str]:
        """Reasoning and answer so far."""
        thought, content = split_thinking("".join(self._content), ended=ended)
        return clean("".join(self._reasoning) + thought), clean(content)

    def answer(self, *, stopped: bool = False, problem: Problem | None = None) -> Answer:
        """All of it, after the last chunk."""
        reasoning, content = self.text(ended=True)
        return Answer(
            access_name=self._access_name,
            context_length=self._context_length,
            content=content,
            reasoning=reasoning,
            prompt_tokens=self._usage.get("prompt_tokens"),
            completion_tokens=self._usage.get("completion_tokens"),
            pieces=self.pieces,
            ttft_seconds=self.ttft_seconds,
            tokens_per_second=self._speed(),
            finish_reason=self._finish_reason,
            stopped=stopped,
            problem=problem,
        )

    def _add(self, parts: list[str], text: object, at: float) -> None:
        if isinstance(text, str) and text:
            if self._first is None:
                self._first = at
            parts.append(text)

    def _speed(self) -> float | None:
        """Tokens/s after the first; of all, where they came too close together to tell."""
        tokens = self._usage.get("completion_tokens", 0)
        if self._first is None or self._asked is None or tokens < 2:
            return None
        if self._last - self._first < SHORTEST_SPAN_SECONDS:
            whole = self._last - self._asked
            return float(tokens / whole) if whole > 0 else None
        return float((tokens - 1) / (self._last - self._first))
