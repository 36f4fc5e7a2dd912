"""What llama.cpp's error answers mean to a client.

Its answers are ``{"error": {"code", "message", "type"}}``; a prompt that is too long has
``n_prompt_tokens`` and ``n_ctx`` beside them. Its messages quote its own flags, exceptions and
paths, so only the part that speaks about the request is passed on.
"""

from __future__ import annotations

import re

import msgspec

from hydra_box.engines import faults
from hydra_box.engines.faults import LONGEST_MESSAGE
from hydra_box.errors import HydraError

_NO_TEXT = "does not support logits"
_NOT_INPUT = re.compile(r"(image|audio|video) input is not supported")
_TOO_LARGE = re.compile(r"input \((\d+) tokens\) is too large to process.*?size: (\d+)\)")
_FIELD = re.compile(r"(?:^|Field |key |param: |Expected )['\"](\w+)['\"]")
_CALL = re.compile(r"does not support (\w+)")

_GRAMMAR = re.compile(
    r"failed to parse grammar|JSON schema (?:error|conversion failed)"
    r"|Unrecognized schema|json_schema"
)

_CALLERS_FAULT = re.compile(
    r"Failed to parse (tools|messages|tool_choice)|Unsupported param|Only no echo is supported"
    r"|Cannot use both json_schema and grammar|json_schema|grammar|\"prompt\"|Invalid base64"
    r"|Failed to (tokenize prompt|load image or audio file|download image)|json\.exception"
    r"|Jinja|jinja|While executing|does not support multimodal"
)
"""Faults of the request that llama.cpp answers as its own, with status 500."""

_INTERNAL = (
    (re.compile(r"\[json\.exception\.[^\]]*\]\s*"), ""),
    (
        re.compile(r"Unable to generate parser for this template\. |Automatic parser generation "),
        "",
    ),
    (re.compile(r"^(?:failed: |Failed to initialize samplers: )"), ""),
    (re.compile(r"(?:\s*-\s*hint:|\.?\s*Start it with).*", re.DOTALL), ""),
)


class _Error(msgspec.Struct):
    message: str = ""
    type: str = ""
    n_prompt_tokens: int | None = None
    n_ctx: int | None = None


class _Body(msgspec.Struct):
    error: _Error


def translate(status: int, body: bytes) -> HydraError:
    """The error that a client gets for this answer of llama.cpp.

    1. Longer than the context, or than what can be embedded at once: both token counts.
    2. Loading (503): try again.
    3. A call or an input that this model does not have (501, 404, images): say which.
    4. A schema or grammar that cannot be used.
    5. A wrong value (other 4xx, and the 500s that blame the request): its words, cleaned.
    6. Anything else failed inside the engine, and its words stay in its log.
    """
    error = _decode(body)
    if error.n_prompt_tokens is not None and error.n_ctx is not None:
        return faults.too_long(error.n_ctx, f"{error.n_prompt_tokens} tokens")
    if found := _TOO_LARGE.search(error.message):
        return faults.input_too_long(int(found[2]), int(found[1]))
    if status == 503:
        return faults.loading()
    if known := _unsupported(status, error.message):
        return known
    if status < 500 or _CALLERS_FAULT.search(error.message):
        return _invalid(error.message)
    return faults.failed_inside(status)


def makes_no_text(body: bytes) -> bool:
    """Whether the model of this answer can only embed."""
    return _NO_TEXT in _decode(body).message


def own_words(body: bytes) -> str:
    """The message of an error answer, for a reason shown to the box's owner."""
    return _decode(body).message[:LONGEST_MESSAGE]


def _decode(body: bytes) -> _Error:
    try:
        return msgspec.json.decode(body, type=_Body).error
    except msgspec.DecodeError:
        return _Error(message=body[:LONGEST_MESSAGE].decode("utf-8", "replace").strip())


def _unsupported(status: int, message: str) -> HydraError | None:
    if found := _NOT_INPUT.search(message):
        return faults.no_such_input(found[1])
    if _NO_TEXT in message:
        return faults.makes_embeddings()
    if status == 501:
        found = _CALL.search(message)
        return faults.unsupported(found[1] if found else "this call")
    if status in (404, 405):
        return faults.no_such_call()
    return None


def _invalid(message: str) -> HydraError:
    field = _FIELD.search(message)
    text = message
    for pattern, replacement in _INTERNAL:
        text = pattern.sub(replacement, text)
    if _GRAMMAR.search(text):
        return faults.bad_grammar(text)
    return faults.invalid(text, param=field[1] if field else None)
