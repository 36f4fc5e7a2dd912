"""Asking a service something, and measuring how it answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from hydra_box.client import Client
from hydra_box.types import Frozen

SHORTEST_SPAN_SECONDS: Final = 0.02
"""A small model's tokens can all be there before the first is read."""

Message = dict[str, str]
"""``role`` and ``content``, as OpenAI has them."""


class Answer(Frozen, frozen=True, kw_only=True):
    """What a service answered, and how fast, as seen from here."""

    model: str
    content: str
    finish_reason: str | None
    usage: dict[str, Any] | None
    """Prompt, completion and total tokens, as the engine counted them."""
    ttft_seconds: float | None
    """From sending the question to the first text; None: there was no text."""
    seconds: float
    tokens_per_second: float | None
    """Of the tokens after the first, from that to the end. Of all, from asking to the end, where
    they came too close together to measure that. None: fewer than two."""


class Listener:
    """Gathers the chunks of one streamed answer; what has come so far is in ``content``."""

    def __init__(self, model: str, write: Callable[[str], None]) -> None:
        self._write = write
        self._model = model
        self._parts: list[str] = []
        self._usage: dict[str, Any] | None = None
        self._finish_reason: str | None = None
        self._asked = time.monotonic()
        self._first: float | None = None

    @property
    def content(self) -> str:
        """The text so far."""
        return "".join(self._parts)

    def take(self, chunk: Mapping[str, Any]) -> None:
        """One ``chat.completion.chunk``."""
        self._model = chunk.get("model") or self._model
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices", ()):
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
            if text := choice.get("delta", {}).get("content"):
                if self._first is None:
                    self._first = time.monotonic()
                self._parts.append(text)
                self._write(text)

    def answer(self) -> Answer:
        """The whole answer, after its last chunk."""
        end = time.monotonic()
        return Answer(
            model=self._model,
            content=self.content,
            finish_reason=self._finish_reason,
            usage=self._usage,
            ttft_seconds=None if self._first is None else self._first - self._asked,
            seconds=end - self._asked,
            tokens_per_second=self._speed(end),
        )

    def _speed(self, end: float) -> float | None:
        tokens = (self._usage or {}).get("completion_tokens", 0)
        if self._first is None or tokens < 2:
            return None
        if end - self._first < SHORTEST_SPAN_SECONDS:
            return float(tokens / (end - self._asked))
        return float((tokens - 1) / (end - self._first))


def chat_body(
    model: str, messages: Sequence[Message], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The request; settings that are None stay the engine's own."""
    given = {name: value for name, value in settings.items() if value is not None}
    return {
        "model": model,
        "messages": list(messages),
        "stream_options": {"include_usage": True},
        **given,
    }


def ask(client: Client, body: Mapping[str, Any], write: Callable[[str], None]) -> Answer:
    """Send the request, hand each piece of text to ``write``, and answer the whole."""
    listener = Listener(body["model"], write)
    for chunk in client.chat(body):
        listener.take(chunk)
    return listener.answer()


def measured(answer: Answer) -> str:
    """One line: tokens, TTFT and tokens/s."""
    usage = answer.usage or {}
    told = [
        f"{usage.get('prompt_tokens', '?')} + {usage.get('completion_tokens', '?')} tokens",
        "no text" if answer.ttft_seconds is None else f"TTFT {answer.ttft_seconds * 1000:.0f} ms",
    ]
    if answer.tokens_per_second is not None:
        told.append(f"{answer.tokens_per_second:.1f} tokens/s")
    if answer.finish_reason == "length":
        told.append("cut off at the longest length")
    return ", ".join(told)
