"""A public service of one box that other boxes serve: failover, recovery, metering, its key."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from hydra_box.messages import DeployRequest, UpstreamRequest, UsageBy
from hydra_box.types import Scope, ServiceStatus
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.e2e.commands import run, run_json
from tests.waiting import eventually

NAME = "deepseek-r1"
ACCESS_NAME = f"public/{NAME}"
THERE = "public/small"
"""What the model is called at the boxes that really have it."""


class Remote:
    """Another box, at a port of its own, that may be killed and come back."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.box = RunningBox(home, {})
        self.port = urlsplit(self.box.url).port or 0
        self.box.deploy(DeployRequest(model="demo", name="small", public=True))
        self.key = self.box.key("from-the-first", Scope.INFERENCE)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> RunningBox:
        self.box = RunningBox(self.home, {}, port=self.port)
        return self.box

    def kill(self) -> None:
        self.box.process.send_signal(signal.SIGKILL)
        self.box.process.wait()
        self.box.client.close()

    def served(self) -> int:
        return self.box.client.service("small").stats.requests


@pytest.fixture
def remotes(home: Path) -> Iterator[tuple[Remote, Remote]]:
    one, two = Remote(home.with_name("one")), Remote(home.with_name("two"))
    yield one, two
    for remote in (one, two):
        remote.box.stop()
        remote.box.end_orphans()


def ask(box: RunningBox, key: str, **more: Any) -> httpx.Response:
    body = {
        "model": ACCESS_NAME,
        "max_tokens": 8,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    return httpx.post(
        f"{box.url}/v1/chat/completions",
        json=body | more,
        headers={"Authorization": f"Bearer {key}"},
        timeout=60,
        trust_env=False,
    )


def events_of(answer: httpx.Response) -> list[dict[str, Any]]:
    data = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    return [json.loads(one) for one in data[:-1]]


def upstream_of(remote: Remote, **more: Any) -> UpstreamRequest:
    return UpstreamRequest(
        base_url=remote.base_url, model=THERE, api_key=remote.key, allow_private=True, **more
    )


def healthy(box: RunningBox) -> list[bool]:
    return [one.healthy for one in box.client.upstreams(NAME)]


class Clients:
    """Who ask without end, half of them for streams, until told to stop."""

    def __init__(self, box: RunningBox, key: str, number: int = 8) -> None:
        self._box, self._key = box, key
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(number)
        self.lost: list[str] = []
        """Requests that had not begun to be answered, and were not."""
        self.broken = 0
        """Streams that ended with an error after they had begun."""
        self.answered = 0
        self._futures = [self._pool.submit(self._run, at % 2 == 0) for at in range(number)]

    def _run(self, stream: bool) -> None:
        while not self._stop.is_set():
            answer = ask(self._box, self._key, stream=stream, max_tokens=16)
            if answer.status_code != 200:
                self.lost.append(answer.text)
            elif '"error"' in answer.text:
                self.broken += 1
            else:
                self.answered += 1

    def stop(self) -> None:
        self._stop.set()
        self._pool.shutdown()
        for one in self._futures:
            one.result()


def test_it_is_served_and_metered(start_box: StartBox, remotes: tuple[Remote, Remote]) -> None:
    first, (one, _) = start_box(), remotes
    words = ("deploy", NAME, "--public", "--upstream", one.base_url, "--upstream-model", THERE)
    refused = run(first, *words)
    assert refused.returncode == 2
    assert "--allow-private" in refused.stderr
    key_file = one.home.with_name("key")
    key_file.write_text(f"{one.key}\n")
    service = run_json(
        first, *words, "--upstream-key-file", str(key_file), "--allow-private", "--wait"
    )
    assert (service["status"], service["engine"]) == ("RUNNING", "upstream")
    assert service["upstreams"][0]["healthy"] is True
    assert service["context_length"] == service["upstreams"][0]["context_length"] > 0
    key = first.key("app", Scope.INFERENCE)

    whole = ask(first, key).json()
    assert whole["model"] == ACCESS_NAME
    assert whole["usage"]["completion_tokens"] > 0
    streamed = events_of(ask(first, key, stream=True, stream_options={"include_usage": True}))
    assert {one["model"] for one in streamed} == {ACCESS_NAME}
    counted = [one["usage"] for one in streamed if one.get("usage")]
    unasked = events_of(ask(first, key, stream=True))
    assert not any(one.get("usage") for one in unasked)
    too_long = ask(first, key, messages=[{"role": "user", "content": "word " * 5000}])
    assert too_long.status_code == 400
    assert too_long.json()["error"]["code"] == "context_length_exceeded"
    assert THERE not in too_long.text

    def rows() -> list[Any]:
        return [row for row in first.client.usage(by=UsageBy.KEY).rows if row.name == "app"]

    eventually(lambda: sum(row.requests for row in rows()) >= 3, what="the requests count")
    there = one.box.client.service("small").stats
    here = first.client.service(NAME).stats
    assert here.prompt_tokens == there.prompt_tokens
    assert here.completion_tokens == there.completion_tokens
    assert here.completion_tokens >= (
        whole["usage"]["completion_tokens"] + counted[-1]["completion_tokens"]
    )


def test_the_key_of_an_upstream_is_nowhere(
    start_box: StartBox, remotes: tuple[Remote, Remote]
) -> None:
    first, (one, _) = start_box(), remotes
    first.wait_verified()
    request = DeployRequest(model=NAME, public=True, upstreams=(upstream_of(one),))
    service = first.deploy(request)
    key = first.key("app", Scope.INFERENCE)
    answers = [ask(first, key).text, ask(first, key, stream=True).text]
    answers.append(ask(first, key, temperature="hot").text)
    asked = (("status",), ("upstreams", "list"), ("upstreams", "check", NAME))
    answers += [run(first, *words, "--json").stdout for words in asked]
    answers += [repr(event) for event in first.client.recent_events()]
    assert not any(one.key in text for text in answers)
    files = [path for path in first.home.rglob("*") if path.is_file()]
    having = [path for path in files if one.key.encode() in read(path)]
    (upstream,) = service.upstreams
    assert having == [first.home / "upstreams" / f"{upstream.id}.key"]
    assert having[0].stat().st_mode & 0o777 == 0o600
    assert having[0].parent.stat().st_mode & 0o777 == 0o700
    assert one.key.encode() not in first.output.read_bytes()
    first.client.delete(NAME, NAME)
    eventually(lambda: not having[0].exists(), what="the key goes with its service")


def read(path: Path) -> bytes:
    """What a file of a running daemon holds, which may remove it meanwhile."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


@pytest.mark.slow
def test_when_one_dies_the_other_takes_over_and_gives_back(
    start_box: StartBox, remotes: tuple[Remote, Remote]
) -> None:
    first, (one, two) = start_box(), remotes
    upstreams = (upstream_of(one, weight=3.0), upstream_of(two))
    service = first.deploy(DeployRequest(model=NAME, public=True, upstreams=upstreams))
    eventually(lambda: healthy(first) == [True, True], what="both are healthy")
    key = first.key("app", Scope.INFERENCE)
    for _ in range(8):
        assert ask(first, key).status_code == 200
    assert (one.served(), two.served()) == (6, 2)

    clients = Clients(first, key)
    try:
        eventually(lambda: clients.answered > 20, what="requests are under way")
        one.kill()
        before = clients.answered
        eventually(lambda: healthy(first) == [False, True], what="the dead one is found out")
        eventually(lambda: clients.answered > before + 20, what="the other one answers")
        down = first.client.service(NAME)
        assert down.status is ServiceStatus.RUNNING
        assert service.upstreams[0].id in (down.reason or "")
        attention = [each for each in first.client.status().attention if each.service_name == NAME]
        assert attention[0].hint == f"hydra-box upstreams list {NAME}"
        one.start()
        eventually(lambda: healthy(first) == [True, True], 90, what="it is healthy again")
        one.box.wait_running("small")
        before = one.served()
        eventually(lambda: one.served() > before, what="it is given requests again")
    finally:
        clients.stop()
    assert clients.lost == []
    assert clients.broken <= 8
    of_one = service.upstreams[0].id
    kinds = [each.kind for each in first.client.recent_events() if each.instance_id == of_one]
    assert kinds.count("upstream.unhealthy") >= 1
    assert kinds[::-1].index("upstream.healthy") < kinds[::-1].index("upstream.unhealthy")

    one.kill()
    two.kill()
    eventually(
        lambda: first.client.service(NAME).status is ServiceStatus.FAILED, what="nobody is left"
    )
    refused = ask(first, key)
    assert refused.status_code == 503
    assert str(one.port) not in refused.text


def test_it_outlives_the_daemon(start_box: StartBox, remotes: tuple[Remote, Remote]) -> None:
    first, (one, _) = start_box(), remotes
    first.deploy(DeployRequest(model=NAME, public=True, upstreams=(upstream_of(one),)))
    key = first.key("app", Scope.INFERENCE)
    stranger = first.home / "upstreams" / "up-000000000000.key"
    stranger.write_text("left by a broken write")
    assert first.stop() == 0
    again = start_box()
    again.wait_running(NAME)
    assert ask(again, key).status_code == 200
    assert not stranger.exists()
    assert again.client.stop(NAME).status is ServiceStatus.STOPPED
    assert ask(again, key).status_code == 503
    again.client.start(NAME)
    again.wait_running(NAME)
    assert ask(again, key).status_code == 200
    (upstream,) = again.client.upstreams(NAME)
    again.client.remove_upstream(NAME, upstream.id)
    eventually(
        lambda: again.client.service(NAME).status is ServiceStatus.FAILED, what="it has none"
    )
    assert "it has no upstream" in (again.client.service(NAME).reason or "")
