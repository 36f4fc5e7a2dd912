"""A real daemon's numbers beside what its clients saw, after requests of every kind."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from hydra_box.messages import DeployRequest
from hydra_box.types import Scope
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.exposition import Page, read
from tests.waiting import eventually

CHATS = 6
STREAMS = 7
EMBEDDINGS = 3
REFUSED = 2
PROBE_TOKENS = 1
"""What an instance writes before it is ready."""


@dataclass
class Client:
    """A client of the endpoint that counts what it was given."""

    box: RunningBox
    model: str
    key: str
    used: Counter[str] = field(default_factory=Counter)
    """Of all answers, by the name in their usage."""

    def chat(self, number: int, **changes: Any) -> None:
        """Ask, and count the tokens of a whole answer."""
        self._count(self._post("chat/completions", self._chat(number, **changes)).json()["usage"])

    def stream(self, number: int) -> None:
        """Ask, and count the tokens of a stream."""
        body = {**self._chat(number), "stream": True, "stream_options": {"include_usage": True}}
        *_, usage, done, rest = self._post("chat/completions", body).text.split("\n\n")
        assert (done, rest) == ("data: [DONE]", "")
        self._count(json.loads(usage.removeprefix("data: "))["usage"])

    def embed(self, number: int) -> None:
        """Ask for an embedding, and count the tokens of its input."""
        body = {"model": self.model, "input": f"text number {number}"}
        self._count(self._post("embeddings", body).json()["usage"])

    def be_refused(self, number: int) -> None:
        """Ask what the engine does not take."""
        body = self._chat(number, temperature="hot")
        assert self._post("chat/completions", body, status=400).json()["error"]

    def _chat(self, number: int, **changes: Any) -> dict[str, Any]:
        message = {"role": "user", "content": f"What is your name, for the {number}th time?"}
        return {"model": self.model, "messages": [message], "max_tokens": 3 + number, **changes}

    def _post(self, path: str, body: dict[str, Any], status: int = 200) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = httpx.post(f"{self.box.url}/v1/{path}", json=body, headers=headers, timeout=60)
        assert answer.status_code == status, answer.text
        return answer

    def _count(self, usage: dict[str, Any]) -> None:
        for name in ("prompt_tokens", "completion_tokens"):
            self.used[name] += usage.get(name, 0)
        details = usage.get("prompt_tokens_details") or {}
        self.used["cached_tokens"] += details.get("cached_tokens", 0)


def page(box: RunningBox, query: str = "") -> Page:
    transport = httpx.HTTPTransport(uds=str(box.paths.management_socket))
    with httpx.Client(transport=transport, base_url="http://box", timeout=30) as owner:
        return read(owner.get(f"/metrics{query}").text)


def answered_page(box: RunningBox, query: str = "") -> Page:
    """A page in which the engine had answered in time."""

    def told() -> Page | None:
        found = page(box, query)
        return found if found.value("hydra_box_engine_up", service="demo") == 1 else None

    found = eventually(told, what="the engine answers in time")
    assert found is not None
    return found


@pytest.fixture
def running(start_box: StartBox) -> RunningBox:
    box = start_box()
    box.deploy(DeployRequest(model="demo", name="demo", concurrency=2))
    return box


def test_every_number_is_what_the_clients_saw(running: RunningBox) -> None:
    model = running.client.service("demo").access_name
    first, second = (
        Client(running, model, running.key(name, Scope.INFERENCE)) for name in ("first", "second")
    )
    before = answered_page(running)
    for number in range(CHATS):
        first.chat(number)
    for number in range(STREAMS):
        (first, second)[number % 2].stream(number)
    for number in range(EMBEDDINGS):
        second.embed(number)
    for number in range(REFUSED):
        second.be_refused(number)
    found = answered_page(running, "?keys=true")
    used = first.used + second.used
    assert used["cached_tokens"] > 0

    def finished(endpoint: str, outcome: str) -> float:
        name = "hydra_box_service_requests_finished_total"
        return found.value(name, service="demo", endpoint=endpoint, outcome=outcome)

    assert finished("chat/completions", "ok") == CHATS + STREAMS
    assert finished("chat/completions", "refused") == REFUSED
    assert finished("embeddings", "ok") == EMBEDDINGS
    answered = CHATS + STREAMS + EMBEDDINGS
    name = "hydra_box_service_requests_finished_total"
    assert found.total(name, service="demo") == answered + REFUSED
    assert found.value("hydra_box_service_requests_total", service="demo") == answered + REFUSED
    for name in ("prompt_tokens", "cached_tokens", "completion_tokens"):
        told = found.value(f"hydra_box_service_{name}_total", service="demo")
        assert told == used[name], name
        by_key = {
            key: found.value(f"hydra_box_key_{name}_total", key=key) for key in ("first", "second")
        }
        assert by_key == {"first": first.used[name], "second": second.used[name]}, name
    assert found.value("hydra_box_service_ttft_seconds_count", service="demo") == STREAMS
    assert found.value("hydra_box_service_tpot_seconds_count", service="demo") == STREAMS
    duration = "hydra_box_service_request_duration_seconds_count"
    assert found.value(duration, service="demo") == answered
    assert_engine_counted_the_same(before, found, used)


def assert_engine_counted_the_same(before: Page, after: Page, used: Counter[str]) -> None:
    def engine(page: Page, name: str) -> float:
        return page.value(f"hydra_box_engine_{name}_total", service="demo")

    assert engine(before, "completion_tokens") == PROBE_TOKENS
    for name in ("prompt_tokens", "cached_tokens", "completion_tokens"):
        assert engine(after, name) - engine(before, name) == used[name], name


def test_service_that_is_deleted_ends_and_its_namesake_begins_at_zero(running: RunningBox) -> None:
    model = running.client.service("demo").access_name
    client = Client(running, model, running.key("first", Scope.INFERENCE))
    client.chat(1)
    name = "hydra_box_service_completion_tokens_total"
    assert page(running).value(name, service="demo") == client.used["completion_tokens"]
    running.client.delete("demo", "demo")
    eventually(lambda: not running.client.services(), what="the service is gone")
    running.deploy(DeployRequest(model="demo", name="demo", concurrency=2))
    found = page(running, "?keys=true")
    assert found.value(name, service="demo") == 0
    by_key = found.value("hydra_box_key_completion_tokens_total", key="first")
    assert by_key == client.used["completion_tokens"], "what a key used stays"
