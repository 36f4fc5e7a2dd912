"""What vLLM's error answers mean to a client.

Its answers are ``{"error": {"message", "type", "param", "code"}}``, or ``{"detail": "Not Found"}``
for a path that it has not. Its messages quote its own flags, variables and Python values, so only
the part that speaks about the request is passed on.
"""

from __future__ import annotations

import re

import msgspec

from hydra_box.engines import faults
from hydra_box.errors import HydraError

_TOO_LONG = re.compile(r"maximum context length is (\d+) tokens")
_PROMPT_TOKENS = re.compile(r"(at least )?(\d+)(?: input)? tokens\b")
_PROMPT_CHARACTERS = re.compile(r"contains (\d+) characters")
_ANSWER_TOO_LONG = re.compile(r"(max\w*_tokens)=(\d+) cannot be greater than max_model_len=(\d+)")

_NOT_MULTIMODAL = re.compile(r"is not a multimodal model")
_NO_MORE_OF_IT = re.compile(r"At most 0 (image|audio|video)\w*\(s\)")
_NO_TOOLS = re.compile(r"tool.choice.*requires --")
_NEEDS_FLAG = re.compile(r"^You must set `--[\w-]+` to input `(\w+)`")
_GRAMMAR = re.compile(
    r"^(?:Grammar error|Invalid grammar specification|Invalid json_schema\w*|Failed to parse"
    r" json_schema|The provided JSON schema contains[^:]*|Failed to convert[^:]*): ?(.*)",
    re.DOTALL,
)

_VALIDATION = re.compile(r"\d+ validation errors?:")
_LOCATION = re.compile(r"'loc': '(?:body|query)\.?([^']*)'")
_REASON = re.compile(r"'msg': (['\"])(.*?)\1, '")
_JSON_ERROR = re.compile(r"'ctx': \{'error': (['\"])(.*?)\1\}")

_INTERNAL = (
    re.compile(r"\s*\(parameter=.*\)\s*$", re.DOTALL),
    re.compile(r"[^.]*(?:\bVLLM_\w+|(?<!\w)--\w)[^.]*\.?"),
    re.compile(r"^\d+ validation errors? for \w+\s*"),
)


class _Error(msgspec.Struct):
    message: str = ""
    param: str | None = None


class _Body(msgspec.Struct):
    error: _Error | None = None
    detail: str | None = None


def translate(status: int, body: bytes) -> HydraError:
    """The error that a client gets for this answer of vLLM.

    1. Loading (503): try again.
    2. Longer than the context, the prompt or the answer that is asked for: both counts.
    3. A call or an input that this model or service does not have: say which.
    4. A schema or grammar that cannot be used.
    5. A field that is missing or has a wrong type: its name and what it should be.
    6. A wrong value (other 4xx): its words, cleaned.
    7. Anything else failed inside the engine, and its words stay in its log.
    """
    error = _decode(body)
    if status == 503:
        return faults.loading()
    if known := _too_long(error.message) or _unsupported(status, error.message, body):
        return known
    if status >= 500:
        return faults.failed_inside(status)
    if found := _GRAMMAR.search(error.message):
        return faults.bad_grammar(found[1])
    if _VALIDATION.match(error.message):
        return _wrong_field(error.message)
    return faults.invalid(_own_part(error.message), param=error.param)


def has_no_such_call(body: bytes) -> bool:
    """Whether vLLM does not know the path, as opposed to the model."""
    try:
        return msgspec.json.decode(body, type=_Body).detail == "Not Found"
    except msgspec.DecodeError:
        return False


def own_words(body: bytes) -> str:
    """The message of an error answer, for a reason shown to the box's owner."""
    return _decode(body).message[: faults.LONGEST_MESSAGE]


def _decode(body: bytes) -> _Error:
    try:
        answer = msgspec.json.decode(body, type=_Body)
    except msgspec.DecodeError:
        text = body[: faults.LONGEST_MESSAGE].decode("utf-8", "replace").strip()
        return _Error(message=text)
    return answer.error or _Error(message=answer.detail or "")


def _too_long(message: str) -> HydraError | None:
    """VLLM stops to count one token behind the limit, and does not count a far longer prompt."""
    if found := _ANSWER_TOO_LONG.search(message):
        words = f"{found[1]} is {found[2]}; this service holds at most {found[3]} tokens"
        return faults.invalid(words, param=found[1])
    context = _TOO_LONG.search(message)
    if context is None:
        return None
    rest = message[context.end() :]
    if characters := _PROMPT_CHARACTERS.search(rest):
        prompt = f"{characters[1]} characters, which are more tokens than that"
    elif tokens := _PROMPT_TOKENS.search(rest):
        prompt = f"{tokens[1] or ''}{tokens[2]} tokens"
    else:
        prompt = "more"
    return faults.too_long(int(context[1]), prompt)


def _unsupported(status: int, message: str, body: bytes) -> HydraError | None:
    known = None
    if _NOT_MULTIMODAL.search(message):
        known = faults.no_such_input("image, audio or video")
    elif found := _NO_MORE_OF_IT.search(message):
        known = faults.no_such_input(found[1])
    elif _NO_TOOLS.search(message):
        known = faults.unsupported("tools", param="tools")
    elif found := _NEEDS_FLAG.search(message):
        known = faults.unsupported(found[1], param=found[1])
    elif status in (404, 405) and has_no_such_call(body):
        known = faults.no_such_call(
            hint="an instance of vLLM serves either text or embeddings, by what its model is"
        )
    elif status in (404, 405, 501):
        known = faults.no_such_call()
    return known


def _wrong_field(message: str) -> HydraError:
    """The first of pydantic's complaints; the others mostly follow from it."""
    first = message.partition("\n")[2].partition("\n")[0]
    location = _LOCATION.search(first)
    reason = _REASON.search(first)
    field = location[1].partition(".")[0] if location else ""
    if "'type': 'json_invalid'" in first:
        detail = _JSON_ERROR.search(first)
        return faults.invalid(f"the body is not JSON: {detail[2] if detail else 'cannot be read'}")
    if "'type': 'missing'" in first:
        where = location[1] if location else "a field"
        return faults.invalid(f"'{where}' is required", param=field or None)
    words = reason[2] if reason else "is wrong"
    return faults.invalid(f"'{location[1]}': {words}" if location else words, param=field or None)


def _own_part(message: str) -> str:
    for pattern in _INTERNAL:
        message = pattern.sub("", message)
    return message
