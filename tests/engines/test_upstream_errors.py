"""What an upstream's error answers mean to a client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hydra_box.engines import DIALECTS
from hydra_box.types import EngineName

DIALECT = DIALECTS[EngineName.UPSTREAM]


def openai(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error"} | more}


@pytest.mark.parametrize(
    ("status", "body", "code", "message", "param"),
    [
        (400, openai("n is 0", param="n"), "invalid_request", "n is 0", "n"),
        (400, openai("it is wrong", param="a b\n"), "invalid_request", "it is wrong", None),
        (400, openai("x", param=["a"]), "invalid_request", "x", None),
        (400, {"error": "a text alone"}, "invalid_request", "a text alone", None),
        (400, {"message": "a text alone"}, "invalid_request", "a text alone", None),
        (422, {"detail": "a text"}, "invalid_request", "a text", None),
        (
            422,
            {"detail": [{"loc": ["body", "messages", 0], "msg": "Field required"}]},
            "invalid_request",
            "messages.0: Field required",
            None,
        ),
        (
            400,
            openai("see /srv/app/server.py line 3"),
            "invalid_request",
            "see (a path) line 3",
            None,
        ),
        (400, [1], "invalid_request", "the engine refused the request", None),
        (413, openai("too big"), "request_too_large", "too big", None),
        (404, {}, "not_found", "the engine of this service does not offer this call", None),
        (405, {}, "not_found", "the engine of this service does not offer this call", None),
        (
            400,
            openai(
                "This model's maximum context length is 8192 tokens. However, you requested "
                "9001 tokens (9000 in the messages, 1 in the completion)."
            ),
            "context_length_exceeded",
            "This model's maximum context length is 8192 tokens; the prompt has 9001 tokens",
            "messages",
        ),
        (
            400,
            openai("prompt is too long", code="context_length_exceeded"),
            "context_length_exceeded",
            "prompt is too long",
            "messages",
        ),
        (
            500,
            openai("Traceback: secret"),
            "engine_error",
            "the upstream failed at this request (its status was 500)",
            None,
        ),
        (
            429,
            openai("quota of org-1"),
            "engine_error",
            "the upstream failed at this request (its status was 429)",
            None,
        ),
    ],
)
def test_errors(status: int, body: object, code: str, message: str, param: str | None) -> None:
    error = DIALECT.translate_error(status, json.dumps(body).encode(), {"x-secret": "theirs"})
    assert (error.code, error.message, error.param) == (code, message, param)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"\xff", b"{" * 100_000, b'{"error":{"message":1}}']
)
def test_what_cannot_be_read_says_nothing(body: bytes) -> None:
    error = DIALECT.translate_error(400, body, {})
    assert error.message == "the engine refused the request"


def test_a_long_message_is_cut() -> None:
    error = DIALECT.translate_error(400, json.dumps(openai("word " * 10_000)).encode(), {})
    assert len(error.message) <= 300
