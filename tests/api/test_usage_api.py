"""Usage, and keys with terms, over HTTP."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from hydra_box.client import Client
from hydra_box.errors import InvalidRequest
from hydra_box.gateway.finished import Finished
from hydra_box.gateway.stream import Usage
from hydra_box.messages import CreateKeyRequest, UsageBy, UsagePer
from hydra_box.types import KeyLimits
from tests.api.live import LiveBox, live_box
from tests.waiting import eventually


def use(live: LiveBox, key_id: str | None) -> None:
    """A request is over."""

    async def record() -> None:
        live.box.usage.record(
            Finished(
                key_id=key_id,
                key_name="someone",
                service_id="svc-1",
                access_name="public/demo",
                failed=key_id is None,
                usage=Usage(prompt_tokens=7, completion_tokens=3),
            )
        )

    live.run(record())


def test_usage_by_model_and_by_key_survives_the_daemon(home: Path) -> None:
    with live_box(home) as live, live.client() as client:
        use(live, None)
        use(live, "key-1")
        before = client.usage()
        (row,) = before.rows
        assert (row.id, row.name, row.requests, row.failed_requests) == (
            *("svc-1", "public/demo"),
            *(2, 1),
        )
        assert (before.by, before.per) == (UsageBy.MODEL, UsagePer.DAY)
        assert before.totals.prompt_tokens == 14
    with live_box(home) as live, live.client() as client:
        assert client.usage().totals == before.totals
        for per in UsagePer:
            report = client.usage(by=UsageBy.KEY, per=per)
            assert [(one.id, one.name) for one in report.rows] == [
                ("", "(owner)"),
                ("key-1", "someone"),
            ]
            assert report.since <= report.rows[0].at <= report.until
        now = time.time()
        assert client.usage(since=now - 7200, until=now + 1).totals == before.totals
        assert client.usage(since=0, until=now - 7200).rows == ()
        with pytest.raises(InvalidRequest, match="is not before until") as caught:
            client.usage(since=now + 60)
        assert caught.value.param == "since"


def test_usage_is_for_who_manages_the_box(tcp: httpx.Client, inference_key: str) -> None:
    assert tcp.get("/api/v1/usage").status_code == 401
    headers = {"Authorization": f"Bearer {inference_key}"}
    assert tcp.get("/api/v1/usage", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "query", ["by=user", "per=year", "since=yesterday", "since=nan", "until=inf", "since=-1"]
)
def test_a_wrong_question(admin: httpx.Client, query: str) -> None:
    refused = admin.get(f"/api/v1/usage?{query}")
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == query.partition("=")[0]


def test_terms_of_a_key(client: Client, admin: httpx.Client) -> None:
    at = float(int(time.time()) + 3600)
    limits = KeyLimits(tokens_per_minute=5)
    request = CreateKeyRequest(name="terms", expires_at=at, models=("public/*",), limits=limits)
    created = client.create_key(request)
    listed = client.keys()
    (view,) = [one for one in listed if one.id == created.id]
    assert (view.expires_at, view.models, view.limits) == (at, ("public/*",), limits)
    client.revoke_key(created.id)
    for wrong, param in (
        ({"expires_at": 5}, "expires_at"),
        ({"limits": {"requests_per_minute": 0}}, "limits.requests_per_minute"),
        ({"limits": {"requests_per_minute": 1.5}}, "limits.requests_per_minute"),
        ({"models": [""]}, "models"),
    ):
        refused = admin.post("/api/v1/keys", json={"name": "wrong", **wrong})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


def test_a_key_that_expires_is_refused_everywhere(live: LiveBox, tcp: httpx.Client) -> None:
    at = time.time() + 1
    request = CreateKeyRequest(name="brief", expires_at=at)
    key = live.run(live.box.keys.create(request, live.box.local_user)).key
    headers = {"Authorization": f"Bearer {key}"}

    def refused() -> httpx.Response | None:
        answer = tcp.get("/v1/models", headers=headers)
        return answer if answer.status_code == 401 else None

    answer = eventually(refused, what="it has expired")
    assert answer is not None
    assert answer.json()["error"]["message"].startswith("the API key 'brief' expired on 20")
    managing = tcp.get("/api/v1/keys", headers=headers)
    assert (managing.status_code, managing.json()) == (401, answer.json())
    live.run(live.box.keys.revoke("brief"))
