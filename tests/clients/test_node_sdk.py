"""The newest OpenAI SDK for Node.js against a real box."""

from __future__ import annotations

import pytest

from tests.clients.conftest import Call
from tests.conftest import DemoBox

REQUEST = """
const messages = [{ role: "user", content: "What is your name?" }];
const request = { model: MODEL, messages, temperature: 0 };
"""


def test_chat(box: DemoBox, node: Call, base: str) -> None:
    reply = node(f"{REQUEST}\nreturn client.chat.completions.create(request);", base=base)
    assert reply["object"] == "chat.completion"
    assert reply["model"] == box.service.access_name
    assert "hydra" in reply["choices"][0]["message"]["content"].lower()
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_streamed_chat(node: Call, base: str) -> None:
    text, usage = node(
        f"""{REQUEST}
        const options = {{ stream: true, stream_options: {{ include_usage: true }} }};
        const stream = await client.chat.completions.create({{ ...request, ...options }});
        let text = "", usage = null;
        for await (const chunk of stream) {{
          text += chunk.choices[0]?.delta?.content ?? "";
          usage = chunk.usage ?? usage;
        }}
        return [text, usage];
        """,
        base=base,
    )
    assert "hydra" in text.lower()
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_completion_models_and_embeddings(box: DemoBox, node: Call) -> None:
    completion, model, embedding = node(
        """
        const embedding = await client.embeddings.create({ model: MODEL, input: "hello" });
        return [
          await client.completions.create({ model: MODEL, prompt: "hello!", max_tokens: 16 }),
          await client.models.retrieve(MODEL),
          embedding.data[0].embedding.length,
        ];
        """
    )
    assert completion["object"] == "text_completion"
    assert completion["choices"][0]["text"].strip()
    assert model["id"] == box.service.access_name
    assert embedding > 1


@pytest.mark.parametrize(
    ("key", "model", "expected"),
    [
        ("hb-wrong", "", ["AuthenticationError", 401]),
        ("admin", "", ["PermissionDeniedError", 403]),
        (None, "public/nothing", ["NotFoundError", 404]),
    ],
)
def test_errors(
    box: DemoBox, node: Call, key: str | None, model: str, expected: list[object]
) -> None:
    error = node(
        f"{REQUEST}\nreturn failure(() => client.chat.completions.create(request));",
        key=box.admin_key if key == "admin" else key,
        model=model,
    )
    assert error[:2] == expected
