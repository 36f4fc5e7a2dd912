"""What an upstream's error answers mean to a client.

Only those come here that are about the request: what another upstream may do better, the channel
has told apart. Almost everyone answers ``{"error": {"message", "param", "code"}}``, some with the
message alone, some with a ``detail`` that is a text or a list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from hydra_box.engines import faults
from hydra_box.errors import (
    ContextLengthExceeded,
    EngineError,
    HydraError,
    PayloadTooLarge,
)

_TOO_LONG = re.compile(r"maximum context length (?:is|of) (\d+)(?: tokens)?(.*)", re.DOTALL)
_TOKENS = re.compile(r"(\d+)(?: input)? tokens")
_CONTEXT_CODES = ("context_length_exceeded", "string_above_max_length")
_PARAM = re.compile(r"[\w.\[\]]{1,64}", re.ASCII)


class _Error(msgspec.Struct):
    message: str = ""
    param: Any = None
    code: Any = None


class _Body(msgspec.Struct):
    error: _Error | str | None = None
    message: str | None = None
    detail: Any = None


class UpstreamDialect:
    """How an OpenAI-compatible endpoint speaks."""

    counts = None
    """It counts at the end, and cannot be made to do otherwise."""

    def translate_error(
        self,
        status: int,
        body: bytes,
        headers: Mapping[str, str],  # noqa: ARG002 - none of theirs is for our clients
    ) -> HydraError:
        """The error that a client gets for this answer of an upstream.

        1. Longer than the context: both token counts, where it tells them.
        2. Too large (413).
        3. A call that it does not have (404, 405, 501).
        4. A wrong value (other 4xx): its words, cleaned.
        5. Anything else failed there.
        """
        error = _decode(body)
        words = faults.cleaned(error.message)
        if known := _too_long(error):
            return known
        if status == 413:
            return PayloadTooLarge(words or "the request is too large for the upstream")
        if status in (404, 405, 501):
            return faults.no_such_call(
                hint="its upstream has it not; the address of most ends in /v1"
            )
        if 400 <= status < 500 and status != 429:
            return faults.invalid(error.message, param=_param(error.param))
        return EngineError(f"the upstream failed at this request (its status was {status})")


def _decode(body: bytes) -> _Error:
    try:
        answer = msgspec.json.decode(body, type=_Body)
    except msgspec.DecodeError:
        return _Error()
    if isinstance(answer.error, _Error):
        return answer.error
    return _Error(message=answer.error or answer.message or _detail(answer.detail))


def _detail(detail: Any) -> str:
    """The first complaint of a list as FastAPI has it, or the text."""
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        where = [str(one) for one in detail[0].get("loc") or () if one != "body"]
        return f"{'.'.join(where)}: {detail[0].get('msg', 'is wrong')}"
    return ""


def _too_long(error: _Error) -> HydraError | None:
    found = _TOO_LONG.search(error.message)
    if found and (tokens := _TOKENS.search(found[2])):
        return faults.too_long(int(found[1]), f"{tokens[1]} tokens")
    if found or error.code in _CONTEXT_CODES:
        words = faults.cleaned(error.message)
        return ContextLengthExceeded(
            words or "the prompt is longer than the context of this model",
            hint="shorten the prompt",
            param="messages",
        )
    return None


def _param(param: Any) -> str | None:
    return param if isinstance(param, str) and _PARAM.fullmatch(param) else None
