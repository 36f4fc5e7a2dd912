"""From a body's bytes to what the gateway must know of it; the body itself is never rewritten.

Only the fields below are decoded. A key that occurs twice counts by its last occurrence, here as
in the engines, so that what is checked is what is run.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from hydra_box.engines.counts import RunningCounts
from hydra_box.errors import InvalidRequest
from hydra_box.gateway.forbidden_fields import check_forbidden, guarded
from hydra_box.json_words import what_to_send
from hydra_box.plan.reservation import BYTES_PER_TOKEN
from hydra_box.types import Frozen

MOST_CHOICES = 128
"""Largest ``n``, as at OpenAI; an engine reserves room for every choice at once."""

MOST_TOKENS = 2**31 - 1
"""More tokens than that are as good as no limit, and counted as so many."""

LONGEST_MODEL_CHARACTERS = 256

_T = TypeVar("_T")

_MEDIA = re.compile(
    rb'"(?:(?:image|video|audio)_(?:url|embeds)|input_(?:audio|image|video)|prompt_embeds|image_pil'
    rb'|multimodal_data|file)"'
)
_ESCAPED = re.compile(rb"\\u00([0-7][0-9a-fA-F])")
_ENCODED = re.compile(rb"[A-Za-z0-9+/=_-]{1024,}")
_ENCODED_COUNTS_BYTES = 4096
"""What a picture or a sound counts where its bytes say nothing of the tokens that it becomes."""

_AT_PATH = re.compile(r" - at `\$\.([^`]+)`$")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")


class _Fields(msgspec.Struct):
    model: str
    stream: bool | None = None
    stream_options: msgspec.Raw = msgspec.Raw(b"null")
    n: int | None = None
    n_cmpl: int | None = None
    best_of: int | None = None
    prompt: msgspec.Raw = msgspec.Raw(b"null")
    # Engines differ in what they make of a wrong one, and in which of them counts: the largest may.
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n_predict: int | None = None
    timings_per_token: msgspec.Raw = msgspec.Raw(b"null")
    return_progress: msgspec.Raw = msgspec.Raw(b"null")


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class InferenceRequest(Frozen, frozen=True, kw_only=True):
    """What the gateway knows of a request; the rest is between the client and the engine."""

    model: str
    """An access name."""
    stream: bool
    wants_usage: bool
    """The client asked for the usage chunk of a stream."""
    asks_timings: bool
    """The client asked for llama.cpp's counts in every event of a stream."""
    asks_progress: bool
    """The client asked for llama.cpp's events that tell how much of the prompt is read."""
    asks_continuous_usage: bool
    """The client asked for vLLM's."""
    stream_options: bytes
    """As they are in the body, ``null`` for none."""
    max_tokens: int | None
    """The most that a choice may have; None: no limit."""
    choices_per_prompt: int
    choices: int
    """Answers to all of its prompts together."""
    sequences: int
    """Those that may be generated, of which an endpoint may give the best ones only."""
    other_prompts_tokens: int
    """About how many tokens all of its prompts have but the first."""
    has_media: bool
    """Whether there may be images or sound in it."""
    body: bytes
    """As the client sent it, or with media in it that the box has fetched."""

    def wants(self, counts: RunningCounts) -> bool:
        """Whether the client asked for such counts itself."""
        return self.asks_timings if counts.member else self.asks_continuous_usage

    @property
    def thought_bytes(self) -> int:
        """How long a text would be that becomes about as many tokens."""
        size = len(self.body)
        if self.has_media:
            for found in _ENCODED.finditer(self.body):
                size -= max(0, len(found[0]) - _ENCODED_COUNTS_BYTES)
        return size


_fields: msgspec.json.Decoder[_Fields] = msgspec.json.Decoder(guarded(_Fields))
_stream_options = msgspec.json.Decoder(_StreamOptions | None)
_prompts = msgspec.json.Decoder(list[msgspec.Raw])


def parse(body: bytes, most_choices: int = MOST_CHOICES) -> InferenceRequest:
    """Read a request's body.

    Raises:
        InvalidRequest: it is not a JSON object, or a field has the wrong type or value; ``param``
            names the field.

    """
    fields = _decode(_fields, body)
    _check(fields, most_choices)
    check_forbidden(fields)
    stream = bool(fields.stream)
    options = bytes(fields.stream_options)
    wanted = _StreamOptions()
    if stream:
        wanted = _decode(_stream_options, options, inside="stream_options") or wanted
    each = max(fields.n or 1, fields.n_cmpl or 1)
    prompts = _prompts_of(bytes(fields.prompt))
    sequences = max(each, fields.best_of or 1) * len(prompts)
    _check_answers(sequences, len(prompts), most_choices)
    return InferenceRequest(
        model=fields.model,
        stream=stream,
        wants_usage=bool(wanted.include_usage),
        # Anything else is no wish for llama.cpp, or a wrong one.
        asks_timings=bytes(fields.timings_per_token).strip() == b"true",
        asks_progress=bytes(fields.return_progress).strip() == b"true",
        # vLLM gives it to who asks for both.
        asks_continuous_usage=bool(wanted.continuous_usage_stats and wanted.include_usage),
        stream_options=options,
        max_tokens=_most_tokens(fields),
        choices_per_prompt=each,
        choices=each * len(prompts),
        sequences=sequences,
        other_prompts_tokens=sum(_thought_tokens(one) for one in prompts[1:]),
        has_media=_may_have_media(body),
        body=body,
    )


def body_for(request: InferenceRequest, counts: RunningCounts | None) -> bytes:
    """What an engine gets that counts so; all of the body that must not change is as it was.

    A stream always asks for its usage, and for the counts on the way where there are any, so that
    it can be counted whoever ends it. What is asked for is appended: of two equal keys in an object
    the last one counts.
    """
    if not request.stream:
        return request.body
    options = [] if request.wants_usage else [b'"include_usage":true']
    member = b""
    if counts is not None and not request.wants(counts):
        options += [counts.stream_option] if counts.stream_option else []
        member = counts.member
    if options:
        value = _with_members(request.stream_options, options)
        member = b'%b"stream_options":%b' % (member + b"," if member else b"", value)
    return b"%b,%b}" % (request.body.rstrip()[:-1], member) if member else request.body


def _with_members(stream_options: bytes, members: list[bytes]) -> bytes:
    inside = stream_options.strip()[1:-1].strip() if stream_options.lstrip()[:1] == b"{" else b""
    return b"{%b}" % b",".join([inside, *members] if inside else members)


def _may_have_media(body: bytes) -> bool:
    if b"\\u00" in body:
        # A key may be written so, and is the same for an engine.
        body = _ESCAPED.sub(lambda found: bytes((int(found[1], 16),)), body)
    return _MEDIA.search(body) is not None


def _most_tokens(fields: _Fields) -> int | None:
    given = (fields.max_tokens, fields.max_completion_tokens, fields.n_predict)
    limits = [one for one in given if one is not None]
    # Less than none is no limit for llama.cpp.
    return min(max(limits), MOST_TOKENS) if limits and min(limits) >= 0 else None


def _prompts_of(prompt: bytes) -> list[bytes]:
    """A prompt is a text or a list of tokens; a list of those is several."""
    if not prompt.lstrip().startswith(b"["):
        return [prompt]
    prompts = [bytes(one) for one in _decode(_prompts, prompt, inside="prompt")]
    is_tokens = not prompts or all(one[:1].isdigit() for one in prompts)
    return [prompt] if is_tokens else prompts


def _thought_tokens(prompt: bytes) -> int:
    if prompt.startswith(b"["):
        return prompt.count(b",") + 1
    return max(1, len(prompt) // BYTES_PER_TOKEN)


def _check_answers(answers: int, prompts: int, most_choices: int) -> None:
    """One request must not take all slots of an instance for as long as it likes."""
    if answers > most_choices:
        raise InvalidRequest(
            f"{answers:,} answers are asked for, to {prompts:,} prompts",
            hint=f"ask for {most_choices} in one request at most",
            param="prompt",
        )


def _check(fields: _Fields, most_choices: int) -> None:
    if not 0 < len(fields.model) <= LONGEST_MODEL_CHARACTERS:
        raise InvalidRequest(
            f"model has {len(fields.model)} characters",
            hint=f"it is an access name of 1 to {LONGEST_MODEL_CHARACTERS} characters",
            param="model",
        )
    for name, value in (
        ("n", fields.n),
        ("n_cmpl", fields.n_cmpl),
        ("best_of", fields.best_of),
    ):
        if value is not None and not 1 <= value <= most_choices:
            raise InvalidRequest(
                f"{name} is {_shown(value)}", hint=f"use 1 to {most_choices}", param=name
            )


def _decode(decoder: msgspec.json.Decoder[_T], data: bytes, inside: str | None = None) -> _T:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise _wrong_field(str(error), inside) from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"the body is not UTF-8: {error.reason}", hint="send JSON in UTF-8"
        ) from error
    except msgspec.DecodeError as error:
        raise InvalidRequest(
            f"the body ({len(data)} bytes) is not valid JSON: {error}",
            hint="send a JSON object",
        ) from error
    except RecursionError as error:
        raise InvalidRequest(
            "the body is nested too deeply", hint="send fewer lists and objects in each other"
        ) from error


def _wrong_field(text: str, inside: str | None) -> InvalidRequest:
    """An error that names the field, from msgspec's text, which is the only place that does."""
    if missing := _MISSING.match(text):
        name = missing[1]
        return InvalidRequest(f"{name} is missing", hint=f"send {name!r}", param=name)
    found = _AT_PATH.search(text)
    param = ".".join(part for part in (inside, found[1] if found else None) if part) or None
    fact = _AT_PATH.sub("", text).replace("`", "").replace("Expected", "expected")
    return InvalidRequest(f"{param or 'the body'}: {fact}", hint=what_to_send(text), param=param)


def _shown(number: int) -> str:
    # A huge integer takes long to write out, and Python refuses the longest.
    return str(number) if number.bit_length() <= 64 else "a number of more than 64 bits"
