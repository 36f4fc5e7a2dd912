"""Fields of a request that are known to be dangerous, whatever engine would read them.

Each has a reason, and is refused with it before an engine sees it. What OpenAI's API has goes on
working; what is left is either state of the engine that all of its clients share, a way around the
gateway, code, or work without a limit. ``docs/security.md`` has the list in words.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.json import decode

from hydra_box.errors import InvalidRequest
from hydra_box.gateway.schemas import fault_of_grammar, fault_of_pattern, fault_of_schema

ABSENT = msgspec.Raw(b"")
"""What a field is that the body does not have; it is compared by identity."""

MOST_LOGPROBS = 20
"""Alternatives of a token that may be asked for, as at OpenAI; each is sent with every token."""
LONGEST_LOOK_BACK = 1_048_576
"""Tokens that a penalty may look back over; the engine sets a buffer of that size aside."""

_Rule = Callable[[bytes], str | None]
"""What is wrong with a field, by the JSON text of its value; None: nothing is."""

_TEMPLATE_RESERVED = frozenset(
    ("chat_template", "conversation", "documents", "messages", "return_dict", "tokenize", "tools")
)
_MOST_TEMPLATE_VALUES = 16
_LONGEST_TEMPLATE_TEXT = 256


def refused(reason: str, *harmless: object) -> _Rule:
    """Never, but for values that change nothing."""

    def rule(json: bytes) -> str | None:
        value = decode(json)
        return None if value in harmless or value in ("", [], {}) else f"is refused: {reason}"

    return rule


def between(low: int, high: int, why: str) -> _Rule:
    """A number in bounds."""

    def rule(json: bytes) -> str | None:
        value = decode(json)
        if not isinstance(value, int | float) or low <= value <= high:
            return None
        shown = f"{value:g}" if abs(value) < 1e15 else "far out of range"
        return f"is {shown}; {why}: use {low:,} to {high:,}"

    return rule


def at_most(items: int, longest: int) -> _Rule:
    """A list, or an object, of so many entries, whose texts have so many characters."""

    def rule(json: bytes) -> str | None:
        value = decode(json)
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list | dict):
            return None
        if len(value) > items:
            return f"has {len(value):,} entries; the limit is {items:,}"
        for one in value:
            if isinstance(one, str) and len(one) > longest:
                return f"has a text of {len(one):,} characters; the limit is {longest:,}"
        return None

    return rule


def _pattern(json: bytes) -> str | None:
    return fault_of_pattern(str(decode(json)).encode())


def _grammar(json: bytes) -> str | None:
    return fault_of_grammar(str(decode(json)).encode())


def _structured(json: bytes) -> str | None:
    """Of vLLM, ``structured_outputs``: a schema, a pattern, a grammar or a choice."""
    value = decode(json)
    if isinstance(value, dict):
        for name, fault_of in (("regex", fault_of_pattern), ("grammar", fault_of_grammar)):
            text = value.get(name)
            if isinstance(text, str) and (fault := fault_of(text.encode())):
                return f"has a {name} that {fault}"
    return fault_of_schema(json)


def _template_values(json: bytes) -> str | None:
    """Values for the model's own template: plain ones, under names that mean nothing else."""
    value = decode(json)
    if not isinstance(value, dict):
        return None
    if len(value) > _MOST_TEMPLATE_VALUES:
        return f"has {len(value)} values; the limit is {_MOST_TEMPLATE_VALUES}"
    for name, one in value.items():
        if name in _TEMPLATE_RESERVED or name.startswith("_"):
            return f"has {name[:40]!r}, which is the engine's own"
        if isinstance(one, dict | list) or len(str(one)) > _LONGEST_TEMPLATE_TEXT:
            return f"has a value of {name[:40]!r} that is no short text, number or truth"
    return None


def _small_numbers(json: bytes) -> str | None:
    value = decode(json)
    numbers = value.values() if isinstance(value, dict) else ()
    if any(isinstance(one, int | float) and abs(one) > 1024 for one in numbers):
        return "has a number over 1,024: it would be looked for after every token"
    return None


_LOGPROBS = between(0, MOST_LOGPROBS, "each is sent with every token")
_LOOK_BACK = between(-1, LONGEST_LOOK_BACK, "the engine sets a buffer of that size aside")
_REMOTE_CACHE = "it makes the engine exchange its cache with hosts that the request names"
_DECODING = "it changes how the engine decodes media, and what memory that takes"
_TENSORS = "it carries tensors that the engine would load unchecked"
_SHARED = "it reaches into what all clients of the instance share"

RULES: dict[str, _Rule] = {
    # A way around the gateway, or into what others of the instance have.
    "id_slot": refused("the gateway chooses who serves a request", -1),
    "lora": refused(_SHARED),
    "priority": refused("it would overtake others, whom the gateway serves in turn", 0),
    "request_id": refused(_SHARED),
    "kv_transfer_params": refused(_REMOTE_CACHE),
    "ec_transfer_params": refused(_REMOTE_CACHE),
    "vllm_xargs": refused("it reaches the engine's extensions unchecked"),
    # Code, and what becomes code.
    "chat_template": refused("it is a program that the engine would run"),
    "chat_template_kwargs": _template_values,
    "logits_processors": refused("it names code that the engine would load"),
    "prompt_embeds": refused(_TENSORS),
    "mm_processor_kwargs": refused(_DECODING),
    "media_io_kwargs": refused(_DECODING),
    # Numbers that engines take for sizes.
    "n_discard": between(0, 2**31 - 1, "a negative one writes outside of the context"),
    "n_keep": between(-1, 2**31 - 1, "it counts tokens of the prompt"),
    "n_cache_reuse": between(0, 2**31 - 1, "it counts tokens"),
    "n_indent": between(0, 1024, "it counts spaces"),
    "truncate_prompt_tokens": between(-1, 2**31 - 1, "it counts tokens of the prompt"),
    "repeat_last_n": _LOOK_BACK,
    "penalty_last_n": _LOOK_BACK,
    "dry_penalty_last_n": _LOOK_BACK,
    "n_probs": _LOGPROBS,
    "logprobs": _LOGPROBS,
    "top_logprobs": _LOGPROBS,
    "prompt_logprobs": _LOGPROBS,
    "repetition_detection": _small_numbers,
    # Lists that are gone through after every token.
    "stop": at_most(16, 1024),
    "stop_token_ids": at_most(256, 0),
    "logprob_token_ids": at_most(128, 0),
    "allowed_token_ids": at_most(16_384, 0),
    "bad_words": at_most(256, 256),
    "logit_bias": at_most(1024, 256),
    "samplers": at_most(32, 256),
    "dry_sequence_breakers": at_most(16, 64),
    # What engines compile.
    "grammar": _grammar,
    "guided_grammar": _grammar,
    "guided_regex": _pattern,
    "json_schema": fault_of_schema,
    "guided_json": fault_of_schema,
    "guided_choice": at_most(1024, 1024),
    "response_format": fault_of_schema,
    "structured_outputs": _structured,
    "tools": fault_of_schema,
    "functions": fault_of_schema,
}
"""Field of a body to what is wrong with its value, if anything is."""

_values = attrgetter(*RULES)
_NONE_OF_THEM = (ABSENT,) * len(RULES)


def guarded(base: type[msgspec.Struct]) -> Any:
    """The struct with these fields as well, so that a body is read once for both."""
    fields = [(name, msgspec.Raw, ABSENT) for name in RULES]
    return msgspec.defstruct(f"Guarded{base.__name__}", fields, bases=(base,))


def check_forbidden(fields: msgspec.Struct) -> None:
    """Look at a body that was read into a ``guarded`` struct.

    Raises:
        InvalidRequest: a field is dangerous as it is; ``param`` names it.
    """
    values = _values(fields)
    if values == _NONE_OF_THEM:
        return
    for (name, rule), raw in zip(RULES.items(), values, strict=True):
        if raw is ABSENT:
            continue
        json = bytes(raw).strip()
        if json != b"null" and (fault := rule(json)) is not None:
            raise InvalidRequest(
                f"{name} {fault}",
                hint=f"leave {name} out, or keep within the limit",
                param=name,
            )
