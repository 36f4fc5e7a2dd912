"""The books of a daemon that is killed under load: what a client has got to its end is in them."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import msgspec

from hydra_box.messages import DeployRequest, UsageBy, UsageFormat
from hydra_box.types import RequestRecord, Scope
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.e2e.commands import run

DELIVERED = 200
CLIENTS = 8


@dataclass
class Load:
    """Clients that ask one after the other, until the daemon is gone."""

    box: RunningBox
    model: str
    keys: list[str]
    got: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Prompt and completion tokens of each answer that was read to its end, by request id."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    enough: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Kill the daemon as soon as enough answers were read."""
        threads = [threading.Thread(target=self._ask, args=(at,)) for at in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            assert self.enough.wait(120), f"only {len(self.got)} answers"
        finally:
            self.box.process.kill()
            self.box.process.wait()
            for thread in threads:
                thread.join()

    def _ask(self, number: int) -> None:
        headers = {"Authorization": f"Bearer {self.keys[number % len(self.keys)]}"}
        with httpx.Client(base_url=self.box.url, headers=headers, trust_env=False) as client:
            for turn in range(10_000):
                try:
                    id, prompt, completion = _answer(client, self.model, stream=bool(turn % 2))
                except httpx.TransportError:
                    return
                with self.lock:
                    self.got[id] = (prompt, completion)
                    if len(self.got) >= DELIVERED:
                        # At once: it has had no time to do anything after the last byte.
                        self.box.process.kill()
                        self.enough.set()


def _answer(client: httpx.Client, model: str, *, stream: bool) -> tuple[str, int, int]:
    """Id, prompt and completion tokens of one answer, read to its end."""
    body = {
        "model": model,
        "max_tokens": 3,
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": stream,
    } | ({"stream_options": {"include_usage": True}} if stream else {})
    with client.stream("POST", "/v1/chat/completions", json=body, timeout=60) as answer:
        lines = list(answer.iter_lines())
        assert answer.status_code == 200, lines
        data = [one.removeprefix("data: ") for one in lines if one.startswith(("data: {", "{"))]
        usage = json.loads(data[-1])["usage"]
        return answer.headers["x-request-id"], usage["prompt_tokens"], usage["completion_tokens"]


def exported(box: RunningBox) -> Iterator[RequestRecord]:
    text = "".join(box.client.usage_requests(UsageFormat.JSON))
    yield from msgspec.convert(json.loads(text)["rows"], list[RequestRecord])


def test_a_killed_daemon_loses_no_request_that_was_delivered(start_box: StartBox) -> None:
    first = start_box()
    service = first.deploy(DeployRequest(model="demo", name="demo"))
    keys = [first.key(name, Scope.INFERENCE) for name in ("ann", "bob", "eve")]
    load = Load(first, service.access_name, keys)
    load.run()

    second = start_box()
    records = {one.id: one for one in exported(second)}
    missing = load.got.keys() - records.keys()
    assert not missing, f"{len(missing)} of {len(load.got)} requests are not in the books"
    for id, tokens in load.got.items():
        assert (records[id].prompt_tokens, records[id].completion_tokens) == tokens
    # Each is there once, in the sums as well.
    report = second.client.usage(by=UsageBy.KEY)
    assert report.totals.requests == len(records)
    assert report.totals.prompt_tokens == sum(one.prompt_tokens for one in records.values())
    by_key = Counter(one.key_name for one in records.values())
    in_report: Counter[str] = Counter()
    for row in report.rows:  # Of a key there is one for each day.
        in_report[row.name] += row.requests
    assert in_report == by_key
    assert set(by_key) == {"ann", "bob", "eve"}
    assert not list(second.home.glob("usage-journal.*"))


def test_a_deleted_service_and_a_revoked_key_are_still_in_the_reports(start_box: StartBox) -> None:
    box = start_box()
    service = box.deploy(DeployRequest(model="demo", name="demo"))
    key = box.key("gone", Scope.INFERENCE)
    with httpx.Client(
        base_url=box.url, headers={"Authorization": f"Bearer {key}"}, trust_env=False
    ) as client:
        _answer(client, service.access_name, stream=False)
    box.client.delete("demo", "demo")
    box.client.revoke_key("gone")
    for by, name in (
        (UsageBy.MODEL, service.access_name),
        (UsageBy.SERVICE, service.access_name),
        (UsageBy.KEY, "gone"),
        (UsageBy.USER, "local"),
    ):
        (row,) = box.client.usage(by=by).rows
        assert (row.name, row.requests) == (name, 1)
    shown = run(box, "usage", "--requests", "--csv", "--key", "gone")
    assert shown.returncode == 0
    assert len(shown.stdout.splitlines()) == 2
    assert "total" in run(box, "usage", "--by", "hour").stdout
