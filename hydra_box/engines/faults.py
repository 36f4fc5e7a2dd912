"""The faults that every engine answers alike: one text for each, whatever the engine said."""

from __future__ import annotations

import re

from hydra_box.errors import (
    ContextLengthExceeded,
    EngineError,
    HydraError,
    InvalidRequest,
    NotFound,
    Unavailable,
)

LOADING_RETRY_AFTER_SECONDS = 2
LONGEST_MESSAGE = 300

_PATH = re.compile(r"(?<![\w:/])/(?:[^\s'\"/]+/)+[^\s'\"]*")


def too_long(context_tokens: int, prompt: str) -> HydraError:
    """The prompt is longer than the context.

    Args:
        context_tokens: what a slot can hold.
        prompt: how long the prompt is, ``612 tokens``.

    """
    return ContextLengthExceeded(
        f"This model's maximum context length is {context_tokens} tokens; the prompt has {prompt}",
        hint="shorten the prompt, or deploy the model with a longer context length",
        param="messages",
    )


def input_too_long(limit_tokens: int, input_tokens: int) -> HydraError:
    """A text to embed is longer than what can be embedded at once."""
    return ContextLengthExceeded(
        f"the input has {input_tokens} tokens; this service embeds at most "
        f"{limit_tokens} tokens at a time",
        hint="split the input into shorter parts",
        param="input",
    )


def loading() -> HydraError:
    """The engine does not serve yet."""
    return Unavailable(
        "the model is still loading", retry_after_seconds=LOADING_RETRY_AFTER_SECONDS
    )


def no_such_input(kind: str) -> HydraError:
    """The model has no eyes or ears for ``kind``: ``image``, ``audio``, ``video``."""
    return InvalidRequest(f"this model takes no {kind} input", param="messages")


def makes_embeddings() -> HydraError:
    """The model was asked for text and has none."""
    return InvalidRequest("this model makes embeddings, not text", hint="use /v1/embeddings")


def unsupported(what: str, *, param: str | None = None) -> HydraError:
    """The service lacks ``what``."""
    return InvalidRequest(f"this service does not support {what}", param=param)


def no_such_call(*, hint: str | None = None) -> HydraError:
    """The engine has no such path."""
    return NotFound("the engine of this service does not offer this call", hint=hint)


def bad_grammar(words: str) -> HydraError:
    """The form that the answer should have (a JSON schema, a grammar, a pattern) is no good."""
    return InvalidRequest(
        f"the JSON schema or grammar for the answer cannot be used: {cleaned(words)}",
        param="response_format",
    )


def invalid(words: str, *, param: str | None = None) -> HydraError:
    """A value is wrong, in the engine's own words."""
    return InvalidRequest(cleaned(words) or "the engine refused the request", param=param)


def failed_inside(status: int) -> HydraError:
    """The engine failed, and what it said stays in its log."""
    return EngineError(
        f"the engine failed at this request (its status was {status})",
        hint="its log has the details: hydra-box logs NAME",
    )


def cleaned(words: str) -> str:
    """An engine's words without paths and line breaks, and not too many of them."""
    return " ".join(_PATH.sub("(a path)", words).split())[:LONGEST_MESSAGE]
