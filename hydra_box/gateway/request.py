"""From a body's bytes to what the gateway must know of it; the body itself is never rewritten.

Only the fields below are decoded. A key that occurs twice counts by its last occurrence, here as
in the engines, so that what is checked is what is run.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from hydra_box.errors import InvalidRequest
from hydra_box.types import Frozen

MOST_CHOICES = 128
"""Largest ``n``; an engine reserves room for every choice at once."""

LONGEST_MODEL_CHARACTERS = 256

_T = TypeVar("_T")

_AT_PATH = re.compile(r" - at `\$\.([^`]+)`$")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")


class _Fields(msgspec.Struct):
    model: str
    stream: bool | None = None
    stream_options: msgspec.Raw = msgspec.Raw(b"null")
    n: int | None = None
    # Only their types are checked: engines differ in what they make of a wrong one.
    max_tokens: int | None = None
    max_completion_tokens: int | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class InferenceRequest(Frozen, frozen=True, kw_only=True):
    """What the gateway knows of a request; the rest is between the client and the engine."""

    model: str
    """An access name."""
    stream: bool
    wants_usage: bool
    """The client asked for the usage chunk of a stream."""
    body: bytes
    """What the engine gets."""


_fields = msgspec.json.Decoder(_Fields)
_stream_options = msgspec.json.Decoder(_StreamOptions | None)


def parse(body: bytes) -> InferenceRequest:
    """Read a request's body.

    A stream always asks the engine for its usage, so that it can be counted; ``wants_usage`` says
    whether the client did, too.

    Raises:
        InvalidRequest: it is not a JSON object, or a field has the wrong type or value; ``param``
            names the field.

    """
    fields = _decode(_fields, body)
    _check(fields)
    stream = bool(fields.stream)
    options = bytes(fields.stream_options)
    wants_usage = stream and _wants_usage(options)
    return InferenceRequest(
        model=fields.model,
        stream=stream,
        wants_usage=wants_usage,
        body=ask_for_usage(body, options) if stream and not wants_usage else body,
    )


def ask_for_usage(body: bytes, stream_options: bytes) -> bytes:
    """The body with ``stream_options.include_usage`` set, all else byte for byte as it was.

    ``body`` is a JSON object with at least one member and ``stream_options`` is the value that it
    has now, ``null`` for none. The new one is appended: of two equal keys the last one counts.
    """
    inside = stream_options.strip()[1:-1].strip() if stream_options.lstrip()[:1] == b"{" else b""
    members = inside + b"," if inside else b""
    return b'%b,"stream_options":{%b"include_usage":true}}' % (body.rstrip()[:-1], members)


def _check(fields: _Fields) -> None:
    if not 0 < len(fields.model) <= LONGEST_MODEL_CHARACTERS:
        raise InvalidRequest(
            f"model has {len(fields.model)} characters",
            hint=f"it is an access name of 1 to {LONGEST_MODEL_CHARACTERS} characters",
            param="model",
        )
    if fields.n is not None and not 1 <= fields.n <= MOST_CHOICES:
        raise InvalidRequest(f"n is {_shown(fields.n)}", hint=f"use 1 to {MOST_CHOICES}", param="n")


def _wants_usage(stream_options: bytes) -> bool:
    options = _decode(_stream_options, stream_options, inside="stream_options")
    return options is not None and bool(options.include_usage)


def _decode(decoder: msgspec.json.Decoder[_T], data: bytes, inside: str | None = None) -> _T:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise _wrong_field(str(error), inside) from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is not UTF-8: {error.reason}") from error
    except msgspec.DecodeError as error:
        raise InvalidRequest(
            f"the body ({len(data)} bytes) is not valid JSON: {error}",
            hint="send a JSON object",
        ) from error
    except RecursionError as error:
        raise InvalidRequest("the body is nested too deeply") from error


def _wrong_field(text: str, inside: str | None) -> InvalidRequest:
    """An error that names the field, from msgspec's text, which is the only place that does."""
    if missing := _MISSING.match(text):
        name = missing[1]
        return InvalidRequest(f"{name} is missing", hint=f"send {name!r}", param=name)
    found = _AT_PATH.search(text)
    param = ".".join(part for part in (inside, found[1] if found else None) if part) or None
    fact = _AT_PATH.sub("", text).replace("`", "").replace("Expected", "expected")
    return InvalidRequest(f"{param or 'the body'}: {fact}", param=param)


def _shown(number: int) -> str:
    # A huge integer takes long to write out, and Python refuses the longest.
    return str(number) if number.bit_length() <= 64 else "a number of more than 64 bits"
