"""``openai==0.28.1``, the SDK of the hosted product's older guides, against a real box."""

from __future__ import annotations

import pytest

from tests.clients.conftest import Call
from tests.conftest import DemoBox

PROMPT = 'dict(model=MODEL, prompt="What is your name?", temperature=0, max_tokens=48)'
QUESTION = '[{"role": "user", "content": "What is your name?"}]'
MESSAGES = f"dict(model=MODEL, messages={QUESTION}, temperature=0)"


def test_completion(box: DemoBox, old: Call, base: str) -> None:
    reply, streamed = old(
        f"""
        reply = openai.Completion.create(**{PROMPT})
        stream = openai.Completion.create(**{PROMPT}, stream=True)
        result = [reply, "".join(chunk.choices[0].text for chunk in stream)]
        """,
        base=base,
    )
    assert reply["object"] == "text_completion"
    assert reply["model"] == box.service.access_name
    assert "hydra" in reply["choices"][0]["text"].lower()
    assert reply["choices"][0]["text"] == streamed


def test_chat(box: DemoBox, old: Call, base: str, public_model: str) -> None:
    reply, streamed, public = old(
        f"""
        reply = openai.ChatCompletion.create(**{MESSAGES})
        stream = openai.ChatCompletion.create(**{MESSAGES}, stream=True)
        text = "".join(chunk.choices[0].delta.get("content") or "" for chunk in stream)
        public = openai.ChatCompletion.create(**({MESSAGES} | dict(model="{public_model}")))
        result = [reply, text, public]
        """,
        base=base,
    )
    assert reply["object"] == "chat.completion"
    assert reply["model"] == box.service.access_name
    assert "hydra" in reply["choices"][0]["message"]["content"].lower()
    assert "hydra" in streamed.lower()
    assert public["model"] == public_model


def test_models(box: DemoBox, old: Call, base: str) -> None:
    names, one = old(
        "result = [[m.id for m in openai.Model.list().data], openai.Model.retrieve(MODEL)]",
        base=base,
    )
    assert box.service.access_name in names
    assert one["id"] == box.service.access_name


@pytest.mark.parametrize(
    ("key", "model", "expected"),
    [
        ("hb-wrong", "", ["AuthenticationError", 401]),
        ("admin", "", ["PermissionError", 403]),
        (None, "public/nothing", ["InvalidRequestError", 404]),
    ],
)
def test_errors(
    box: DemoBox, old: Call, key: str | None, model: str, expected: list[object]
) -> None:
    error = old(
        f"result = failure(lambda: openai.ChatCompletion.create(**{MESSAGES}))",
        key=box.admin_key if key == "admin" else key,
        model=model,
    )
    assert error[:2] == expected
