"""Keys with terms, and what they used, on a real box with a real engine."""

from __future__ import annotations

from typing import Any

import httpx

from hydra_box.messages import CreateKeyRequest, DeployRequest, UsageBy, UsageRow
from hydra_box.types import KeyLimits
from tests.boxes import RunningBox
from tests.conftest import DemoBox, StartBox
from tests.e2e.commands import run, run_json
from tests.waiting import eventually


def ask(box: RunningBox, model: str, key: str, **more: Any) -> httpx.Response:
    body = {"model": model, "max_tokens": 4, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.post(
        f"{box.url}/v1/chat/completions",
        json=body | more,
        headers=headers,
        timeout=60,
        trust_env=False,
    )


def used(box: RunningBox, name: str) -> list[UsageRow]:
    return [row for row in box.client.usage(by=UsageBy.KEY).rows if row.name == name]


def test_a_key_with_terms_and_what_it_used(box: DemoBox) -> None:
    model = box.service.access_name
    words = ("--model", "u-*/demo", "--requests-per-minute", "2", "--expires", "30d")
    created = run_json(box.running, "keys", "create", "--name", "e2e-terms", *words)
    key = created["key"]
    headers = {"Authorization": f"Bearer {key}"}
    listed = httpx.get(f"{box.url}/v1/models", headers=headers, trust_env=False).json()
    assert [one["id"] for one in listed["data"]] == [model]

    whole = ask(box.running, model, key)
    streamed = ask(box.running, model, key, stream=True)
    assert (whole.status_code, streamed.status_code) == (200, 200)
    refused = ask(box.running, model, key)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 31
    assert "may take 2 requests a minute" in refused.json()["error"]["message"]

    rows = used(box.running, "e2e-terms")
    usage = whole.json()["usage"]
    assert {row.id for row in rows} == {created["id"]}
    assert sum(row.requests for row in rows) == 3
    assert sum(row.refused_requests for row in rows) == 1
    assert sum(row.failed_requests for row in rows) == 0
    assert sum(row.prompt_tokens for row in rows) == 2 * usage["prompt_tokens"]
    assert sum(row.completion_tokens for row in rows) >= usage["completion_tokens"] + 1

    shown = run(box.running, "usage", "--by", "key").stdout
    assert "e2e-terms" in shown
    assert "total" in shown
    report = run_json(box.running, "usage", "--per", "month")
    assert model in [row["name"] for row in report["rows"]]
    assert report["totals"]["requests"] >= 2
    assert "; models u-*/demo; 2 requests a minute" in run(box.running, "keys", "list").stdout
    assert run(box.running, "keys", "revoke", "e2e-terms").returncode == 0


def test_a_key_for_other_models_and_the_owners_own_calls(box: DemoBox) -> None:
    model = box.service.access_name
    request = CreateKeyRequest(
        name="e2e-other", models=("public/*",), limits=KeyLimits(concurrent_requests=1)
    )
    key = box.running.client.create_key(request).key
    refused = ask(box.running, model, key)
    assert refused.status_code == 404
    assert "the key 'e2e-other' may call" in refused.json()["error"]["message"]
    (told,) = used(box.running, "e2e-other")
    assert (told.requests, told.refused_requests, told.prompt_tokens) == (1, 1, 0)

    def by_the_owner() -> int:
        return sum(row.requests for row in used(box.running, "(owner)"))

    before = by_the_owner()
    assert run(box.running, "trial", "demo", "Hello", "--max-tokens", "2").returncode == 0
    eventually(lambda: by_the_owner() > before, what="the trial counts")
    assert {row.id for row in used(box.running, "(owner)")} == {""}


def test_usage_is_there_after_a_restart(start_box: StartBox) -> None:
    first = start_box()
    model = first.deploy(DeployRequest(model="demo", name="demo")).access_name
    key = first.client.create_key(CreateKeyRequest(name="app")).key
    assert ask(first, model, key).status_code == 200
    assert first.stop() == 0
    second = start_box()
    (row,) = used(second, "app")
    assert row.requests == 1
    assert row.prompt_tokens > 0
