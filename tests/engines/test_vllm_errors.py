"""vLLM's error answers, as vLLM 0.32 gives them, in Hydra Box's words: those of llama.cpp."""

from __future__ import annotations

import json

import pytest

from hydra_box.engines import llama_cpp_errors, vllm_errors
from hydra_box.errors import (
    ContextLengthExceeded,
    EngineError,
    HydraError,
    InvalidRequest,
    NotFound,
    Unavailable,
)


def body(message: str, param: str | None = None) -> bytes:
    error = {"message": message, "type": "BadRequestError", "param": param, "code": 400}
    return json.dumps({"error": error}).encode()


def validation(*complaints: str) -> bytes:
    lines = "".join(f"\n  {one}" for one in complaints)
    return body(f"{len(complaints)} validation error{'s' * (len(complaints) > 1)}:{lines}")


def translated(answer: bytes, status: int = 400) -> HydraError:
    return vllm_errors.translate(status, answer)


MISSING = (
    "{'type': 'missing', 'loc': 'body.messages', 'msg': 'Field required', "
    "'input': '<dict of 0 items>'}"
)
NOT_A_LIST = (
    "{'type': 'list_type', 'loc': 'body.tools', 'msg': 'Input should be a valid list', "
    "'input': '5'}"
)
NOT_A_CHOICE = (
    "{'type': 'literal_error', 'loc': 'body.response_format.type', 'msg': "
    "\"Input should be 'text', 'json_object' or 'json_schema'\", 'input': 'frob', 'ctx': {}}"
)
NOT_JSON = (
    "{'type': 'json_invalid', 'loc': 'body.1', 'msg': 'JSON decode error', 'input': "
    "'<dict of 0 items>', 'ctx': {'error': 'Expecting property name enclosed in double quotes'}}"
)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            (
                "This model's maximum context length is 512 tokens. However, your prompt contains "
                "at least 513 input tokens, which exceeds this limit even without any output "
                "tokens. Please reduce the length of the input prompt. (parameter=input_tokens, "
                "value=513)"
            ),
            "This model's maximum context length is 512 tokens; the prompt has at least 513 tokens",
        ),
        (
            (
                "This model's maximum context length is 512 tokens. However, your prompt contains "
                "12000 characters (more than 7168 characters, which is the upper bound for 512 "
                "input tokens). Please reduce the length of the input prompt."
            ),
            (
                "This model's maximum context length is 512 tokens; the prompt has 12000 "
                "characters, which are more tokens than that"
            ),
        ),
    ],
)
def test_prompt_longer_than_the_context_has_both_counts(message: str, text: str) -> None:
    error = translated(body(message, "input_tokens"))
    assert type(error) is ContextLengthExceeded
    assert (error.message, error.param) == (text, "messages")
    assert error.hint


@pytest.mark.parametrize(
    ("answer", "message", "param"),
    [
        (validation(MISSING), "'messages' is required", "messages"),
        (validation(NOT_A_LIST), "'tools': Input should be a valid list", "tools"),
        (
            validation(NOT_A_CHOICE, MISSING),
            "'response_format.type': Input should be 'text', 'json_object' or 'json_schema'",
            "response_format",
        ),
        (
            validation(NOT_JSON),
            "the body is not JSON: Expecting property name enclosed in double quotes",
            None,
        ),
        (
            body(
                "temperature must be non-negative, got -1.0. (parameter=temperature, value=-1.0)",
                "temperature",
            ),
            "temperature must be non-negative, got -1.0.",
            "temperature",
        ),
        (
            body(
                "n must be at most 2, got 9. To increase this limit, set the "
                "VLLM_MAX_N_SEQUENCES environment variable."
            ),
            "n must be at most 2, got 9.",
            None,
        ),
        (
            body(
                "max_tokens=100000 cannot be greater than max_model_len=512. Please request fewer "
                "output tokens. (parameter=max_tokens, value=100000)",
                "max_tokens",
            ),
            "max_tokens is 100000; this service holds at most 512 tokens",
            "max_tokens",
        ),
        (
            body("public/demo is not a multimodal model"),
            "this model takes no image, audio or video input",
            "messages",
        ),
        (
            body("At most 0 image(s) may be provided in one prompt."),
            "this model takes no image input",
            "messages",
        ),
        (
            body(
                '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to '
                "be set"
            ),
            "this service does not support tools",
            "tools",
        ),
        (
            body(
                "You must set `--enable-prompt-embeds` to input `prompt_embeds`. "
                "(parameter=prompt_embeds)",
                "prompt_embeds",
            ),
            "this service does not support prompt_embeds",
            "prompt_embeds",
        ),
        (
            body("Grammar error: Invalid type: nonsense"),
            "the JSON schema or grammar for the answer cannot be used: Invalid type: nonsense",
            "response_format",
        ),
        (
            body("cannot read /srv/models/secret/config.json"),
            "cannot read (a path)",
            None,
        ),
    ],
)
def test_wrong_requests_are_the_callers_fault(
    answer: bytes, message: str, param: str | None
) -> None:
    error = translated(answer)
    assert type(error) is InvalidRequest
    assert (error.message, error.param) == (message, param)


def test_call_that_the_engine_does_not_have() -> None:
    error = translated(b'{"detail": "Not Found"}', 404)
    assert type(error) is NotFound
    assert error.message == "the engine of this service does not offer this call"
    assert error.hint == (
        "an instance of vLLM serves either text or embeddings, by what its model is"
    )


def test_model_that_is_not_there_is_not_a_call_that_is_not_there() -> None:
    answer = body("The model `nope` does not exist. Valid aliases: public/demo.", "model")
    assert not vllm_errors.has_no_such_call(answer)
    assert vllm_errors.has_no_such_call(b'{"detail": "Not Found"}')


@pytest.mark.parametrize("answer", [body("EngineCore encountered an issue"), b"", b"[1]", b"\xff"])
def test_faults_of_the_engine_keep_their_words_inside(answer: bytes) -> None:
    error = translated(answer, 500)
    assert type(error) is EngineError
    assert error.message == "the engine failed at this request (its status was 500)"


def test_loading_says_when_to_come_again() -> None:
    error = translated(body("busy"), 503)
    assert type(error) is Unavailable
    assert error.retry_after_seconds == 2


def test_empty_refusal_still_says_something() -> None:
    assert translated(b"").message == "the engine refused the request"


def llama(message: str, status: int = 400, **more: object) -> HydraError:
    answer = json.dumps({"error": {"message": message, "type": "x", **more}}).encode()
    return llama_cpp_errors.translate(status, answer)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            translated(
                body(
                    "This model's maximum context length is 512 tokens. However, your prompt "
                    "contains 600 input tokens"
                )
            ),
            llama("too long", n_prompt_tokens=600, n_ctx=512),
        ),
        (translated(b"{}", 503), llama("Loading model", 503)),
        (translated(b"{}", 500), llama("Compute error.", 500)),
        (
            translated(body("At most 0 image(s) may be provided in one prompt.")),
            llama("image input is not supported - hint: if this is unexpected", 500),
        ),
        (translated(validation(MISSING)), llama("'messages' is required")),
    ],
)
def test_the_same_fault_reads_the_same_from_both_engines(
    ours: HydraError, theirs: HydraError
) -> None:
    def told(error: HydraError) -> tuple[object, ...]:
        return type(error), error.message, error.hint, error.param, error.retry_after_seconds

    assert told(ours) == told(theirs)
