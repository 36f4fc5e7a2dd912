"""What a person does at a terminal: type a name, chat, press Ctrl-C."""

from __future__ import annotations

import json
import os
from typing import Any

from hydra_box.errors import ContextLengthExceeded, NotFound
from hydra_box.types import ServiceStatus
from tests.cli.fake_box import FakeBox, a_service_view
from tests.cli.terminal import on_a_terminal

CHAT = "POST /v1/chat/completions"


def an_answer(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return f"data: {json.dumps({'choices': [choice]})}\n\ndata: [DONE]\n\n".encode()


def environ(fake: FakeBox) -> dict[str, str]:
    return {**os.environ, "HYDRA_BOX_URL": fake.url}


def roles(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["role"], one["content"]) for one in body["messages"]]


def test_delete_asks_for_the_name(fake: FakeBox) -> None:
    deleting = a_service_view(status=ServiceStatus.DELETING)
    fake.says("GET /api/v1/services/a", a_service_view(), NotFound("gone"))
    fake.says("DELETE /api/v1/services/a", deleting)
    with on_a_terminal(environ(fake), "delete", "a") as terminal:
        terminal.read_until("This deletes u-1100a15812cc/a and its 1 instance.")
        terminal.read_until("Type the service's name to go on: ")
        terminal.type("a\n")
        status, screen = terminal.finish()
    assert status == 0
    assert "a is deleted" in screen
    assert "DELETE /api/v1/services/a?confirm=a" in [request for request, _, _ in fake.asked]


def test_ctrl_c_at_the_question_deletes_nothing(fake: FakeBox) -> None:
    fake.says("GET /api/v1/services/a", a_service_view())
    with on_a_terminal(environ(fake), "delete", "a") as terminal:
        terminal.read_until("to go on: ")
        terminal.interrupt()
        status, screen = terminal.finish()
    assert status == 130
    assert "Traceback" not in screen
    assert [request for request, _, _ in fake.asked] == ["GET /api/v1/services/a"]


def test_a_chat_remembers_forgets_and_survives_an_error(fake: FakeBox) -> None:
    fake.says("GET /api/v1/services/a", a_service_view())
    too_long = ContextLengthExceeded("the prompt has 3,000 tokens; a slot holds 2,048")
    fake.says(CHAT, an_answer("one"), an_answer("two"), too_long, an_answer("three"))
    with on_a_terminal(environ(fake), "trial", "a", "--system", "Be brief.") as terminal:
        for line, answer in (("hi", "one\r\n"), ("more", "two\r\n"), ("long", "error: the prompt")):
            terminal.read_until("> ")
            terminal.type(f"{line}\n")
            terminal.read_until(answer)
        terminal.read_until("> ")
        terminal.type("/clear\n")
        terminal.read_until("> ")
        terminal.type("new\n")
        terminal.read_until("three\r\n")
        terminal.read_until("> ")
        terminal.type("\x04")
        status, screen = terminal.finish()
    assert status == 0
    assert "Traceback" not in screen
    _, second, third, fourth = fake.bodies(CHAT)
    said = [("system", "Be brief."), ("user", "hi"), ("assistant", "one"), ("user", "more")]
    assert roles(second) == said
    assert roles(third) == [*said, ("assistant", "two"), ("user", "long")]
    assert roles(fourth) == [("system", "Be brief."), ("user", "new")]
