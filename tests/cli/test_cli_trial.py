"""``trial``: what is asked, what is printed where, and an answer that breaks off."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hydra_box.cli.asking import Answer, measured
from tests.cli.conftest import Cli
from tests.cli.fake_box import USER, FakeBox, a_service_view

CHAT = "POST /v1/chat/completions"
MODEL = f"{USER}/a"
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def chunk(content: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"model": MODEL, "choices": [choice], **more}


def sse(*events: dict[str, Any]) -> bytes:
    frames = [json.dumps(event) for event in events] + ["[DONE]"]
    return "".join(f"data: {frame}\n\n" for frame in frames).encode()


HELLO = sse(
    chunk(""), chunk("Hel"), chunk("lo!"), chunk(finish="stop"), {"choices": [], "usage": USAGE}
)


@pytest.fixture
def answering(fake: FakeBox) -> FakeBox:
    fake.says("GET /api/v1/services/a", a_service_view())
    fake.says(CHAT, HELLO)
    return fake


def test_the_answer_is_data_and_the_figures_are_talk(ask: Cli, answering: FakeBox) -> None:
    shown = ask("trial", "a", "hi")
    assert shown.status == 0
    assert shown.out == "Hello!\n"
    assert "5 + 3 tokens, TTFT " in shown.err
    assert "tokens/s" in shown.err


def test_what_is_asked(ask: Cli, answering: FakeBox) -> None:
    settings = ("--temperature", "0", "--top-p", "0.9", "--max-tokens", "7")
    ask("trial", "a", "--system", "Be brief.", *settings, "hi")
    (body,) = answering.bodies(CHAT)
    assert body["model"] == MODEL
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
    ]
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0, 0.9, 7)
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


def test_what_was_not_given_stays_the_engines_own(ask: Cli, answering: FakeBox) -> None:
    ask("trial", "a", "hi")
    assert "temperature" not in answering.bodies(CHAT)[0]


def test_the_prompt_comes_from_standard_input(ask: Cli, answering: FakeBox) -> None:
    assert ask("trial", "a", input="hi\nthere\n").out == "Hello!\n"
    assert answering.bodies(CHAT)[0]["messages"] == [{"role": "user", "content": "hi\nthere"}]


@pytest.mark.parametrize("arguments", [(), ("",)])
def test_an_empty_prompt_is_refused(
    ask: Cli, answering: FakeBox, arguments: tuple[str, ...]
) -> None:
    refused = ask("trial", "a", *arguments, input=" \n")
    assert refused.status == 2
    assert "the prompt is empty" in refused.err


def test_json(ask: Cli, answering: FakeBox) -> None:
    found = ask("trial", "a", "hi", "--json").json
    assert found["content"] == "Hello!"
    assert found["model"] == MODEL
    assert found["finish_reason"] == "stop"
    assert found["usage"] == USAGE
    assert 0 < found["ttft_seconds"] <= found["seconds"]
    assert found["tokens_per_second"] > 0


def test_an_access_name_needs_no_management_api(ask: Cli, fake: FakeBox) -> None:
    fake.says(CHAT, HELLO)
    assert ask("trial", MODEL, "hi").out == "Hello!\n"
    assert [request for request, _, _ in fake.asked] == [CHAT]


def test_an_answer_that_breaks_off(ask: Cli, fake: FakeBox) -> None:
    error = {
        "error": {"message": "the engine died", "type": "server_error", "code": "engine_error"}
    }
    fake.says("GET /api/v1/services/a", a_service_view())
    fake.says(CHAT, sse(chunk("Hel"), error))
    broken = ask("trial", "a", "hi")
    assert broken.status == 7
    assert broken.out.startswith("Hel")
    assert "error: the engine died" in broken.err
    as_json = ask("trial", "a", "hi", "--json")
    assert as_json.json["error"]["message"] == "the engine died"


def test_an_unknown_service(ask: Cli) -> None:
    assert ask("trial", "nothing", "hi").status == 4


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "5 + 3 tokens, TTFT 20 ms, 10.0 tokens/s"),
        ({"tokens_per_second": None}, "5 + 3 tokens, TTFT 20 ms"),
        ({"usage": None, "ttft_seconds": None, "tokens_per_second": None}, "? + ? tokens, no text"),
        (
            {"finish_reason": "length"},
            "5 + 3 tokens, TTFT 20 ms, 10.0 tokens/s, cut off at the longest length",
        ),
    ],
)
def test_the_figures_in_words(changes: dict[str, Any], text: str) -> None:
    values: dict[str, Any] = {
        "model": MODEL,
        "content": "Hello!",
        "finish_reason": "stop",
        "usage": USAGE,
        "ttft_seconds": 0.02,
        "seconds": 0.22,
        "tokens_per_second": 10.0,
    }
    assert measured(Answer(**values | changes)) == text
