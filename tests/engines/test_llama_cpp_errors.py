"""Error answers that the real server gives only under conditions a test cannot make at will."""

from __future__ import annotations

import json

import pytest

from hydra_box.engines.faults import LONGEST_MESSAGE
from hydra_box.engines.llama_cpp_errors import own_words, translate
from hydra_box.errors import ContextLengthExceeded, EngineError, InvalidRequest, Unavailable


def body(message: str, kind: str = "server_error", **more: object) -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, **more}}).encode()


def test_loading_says_when_to_come_again() -> None:
    error = translate(503, body("Loading model", "unavailable_error", code=503))
    assert type(error) is Unavailable
    assert error.retry_after_seconds == 2


def test_input_larger_than_the_batch_has_both_counts() -> None:
    error = translate(
        500,
        body(
            "input (4004 tokens) is too large to process. "
            "increase the physical batch size (current batch size: 2048)"
        ),
    )
    assert type(error) is ContextLengthExceeded
    assert error.message == (
        "the input has 4004 tokens; this service embeds at most 2048 tokens at a time"
    )


@pytest.mark.parametrize(
    "message",
    [
        "Failed to parse messages: nonsense",
        "Unsupported param: echo",
        '"prompt" elements must be a string',
        "Jinja Exception: Conversation roles must alternate user/assistant",
        "[json.exception.type_error.302] type must be string, but is number",
    ],
)
def test_faults_of_the_request_that_come_as_500_are_the_callers(message: str) -> None:
    assert type(translate(500, body(message))) is InvalidRequest


@pytest.mark.parametrize(
    "answer", [body("Compute error."), b"Internal Server Error", b"", b"\xff\xfe", b"[1]"]
)
def test_faults_of_the_engine_keep_their_words_inside(answer: bytes) -> None:
    error = translate(500, answer)
    assert type(error) is EngineError
    assert error.message == "the engine failed at this request (its status was 500)"
    assert error.hint


def test_internals_are_not_passed_on() -> None:
    error = translate(
        400, body("cannot use /var/lib/hydra-box/models/secret.gguf - hint: start with --mmproj")
    )
    assert error.message == "cannot use (a path)"


def test_message_is_bounded() -> None:
    assert len(translate(400, body("x" * 5000)).message) == LONGEST_MESSAGE
    assert len(own_words(b"y" * 5000)) == LONGEST_MESSAGE


def test_empty_refusal_still_says_something() -> None:
    assert translate(400, b"").message == "the engine refused the request"
