"""What was measured of an answer, in words."""

from __future__ import annotations

from collections.abc import Iterator

from hydra_box.shown.numbers import count
from tui.trial.conversation import Answer
from tui.trial.listening import Listener
from tui.words import latency


def figures(answer: Answer) -> str:
    """``12 + 34 tokens, TTFT 84 ms, 45.1 tokens/s, context 46 of 4,096 (1 %)``."""
    return ", ".join(_figures(answer))


def _figures(answer: Answer) -> Iterator[str]:
    if answer.stopped:
        yield "stopped"
    if answer.prompt_tokens is not None and answer.completion_tokens is not None:
        yield f"{answer.prompt_tokens:,} + {answer.completion_tokens:,} tokens"
    elif answer.pieces:
        yield f"about {count(answer.pieces, 'token')}"
    if answer.ttft_seconds is not None:
        yield f"TTFT {latency(answer.ttft_seconds)}"
    elif answer.problem is None:
        yield "no text"
    if answer.tokens_per_second is not None:
        yield f"{answer.tokens_per_second:,.1f} tokens/s"
    if answer.prompt_tokens is not None and answer.completion_tokens is not None:
        yield context(answer.prompt_tokens + answer.completion_tokens, answer.context_length)
    if answer.finish_reason == "length":
        yield "cut off at the longest length"


def context(tokens: int, context_length: int) -> str:
    """How much of the context is used."""
    if context_length <= 0:
        return f"context {tokens:,}"
    return f"context {tokens:,} of {context_length:,} ({tokens * 100 // context_length} %)"


def so_far(listener: Listener) -> str:
    """The same while it is being answered."""
    if listener.ttft_seconds is None:
        return "◐ waiting for the first token"
    return f"◐ about {count(listener.pieces, 'token')}, TTFT {latency(listener.ttft_seconds)}"
