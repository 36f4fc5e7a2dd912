"""How many tokens a request may take, and how many it is thought to take, before it is answered."""

from __future__ import annotations

from hydra_box.types import Frozen

TEMPLATE_TOKENS = 256
"""What a chat template may add to what is in the body."""

UNBOUNDED_ANSWER_TOKENS = 4096
"""Thought of an answer without a limit, from a service whose context length nobody knows."""

USUAL_ANSWER_TOKENS = 512
"""Thought of an answer, unless its request wants fewer."""

BYTES_PER_TOKEN = 4
"""Of ordinary text, about."""


class Ask(Frozen, frozen=True, kw_only=True):
    """What is known of a request before it is answered."""

    body_bytes: int
    thought_bytes: int | None = None
    """As long would be a text that becomes about as many tokens; None: the body is one."""
    max_tokens: int | None = None
    """Of each choice; None: no limit."""
    choices: int = 1
    """Answers that are to be generated, to all of its prompts together."""
    generates: bool = True
    """Else it only reads, as for embeddings."""
    has_media: bool = False
    """It has images or sound, which may become more tokens than they have bytes."""


def most_tokens(ask: Ask, context_length: int) -> int:
    """An upper bound of what the request takes, prompt and answers together.

    A token is at least a byte of the body, and a sequence never longer than its slot.

    Args:
        ask: the request.
        context_length: tokens that a slot holds; 0: unknown.

    """
    prompt = ask.body_bytes + TEMPLATE_TOKENS
    if not ask.generates:
        return max(prompt, context_length) if ask.has_media else prompt
    if context_length and (ask.has_media or ask.max_tokens is None):
        return context_length * ask.choices
    answer = UNBOUNDED_ANSWER_TOKENS if ask.max_tokens is None else ask.max_tokens
    bound = prompt + answer
    return (min(context_length, bound) if context_length else bound) * ask.choices


def expected_tokens(ask: Ask, context_length: int) -> int:
    """What the request is thought to take; at least one token.

    Args:
        ask: the request.
        context_length: tokens that a slot holds; 0: unknown.

    """
    thought = ask.body_bytes if ask.thought_bytes is None else ask.thought_bytes
    prompt = thought // BYTES_PER_TOKEN
    if not ask.generates:
        return max(1, prompt)
    answer = USUAL_ANSWER_TOKENS if ask.max_tokens is None else ask.max_tokens
    if context_length:
        prompt, answer = min(prompt, context_length), min(answer, context_length)
    return max(1, prompt + answer * ask.choices)
