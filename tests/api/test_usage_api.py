"""Usage, and keys with terms, over HTTP."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from hydra_box.client import Client
from hydra_box.errors import DaemonUnreachable, InvalidRequest
from hydra_box.messages import CreateKeyRequest, UsageBy, UsageFormat, UsagePer
from hydra_box.store.requests import RequestsPage
from hydra_box.types import NANOS, KeyLimits, Outcome, RequestRecord
from hydra_box.usage import reports
from tests.api.live import LiveBox, live_box
from tests.samples import a_request


def use(live: LiveBox, *requests: RequestRecord) -> None:
    """Requests are over."""

    async def record() -> None:
        for request in requests:
            live.box.usage.record(request)

    live.run(record())


def over(key_id: str = "key-1", **changes: Any) -> RequestRecord:
    values: dict[str, Any] = {
        "at": time.time() - 1,
        "key_id": key_id,
        "key_name": "someone",
        "service_id": "svc-1",
        "access_name": "public/demo",
        "prompt_tokens": 7,
        "completion_tokens": 3,
    }
    return a_request(**values | changes)


def test_usage_survives_the_daemon(home: Path) -> None:
    with live_box(home) as live, live.client() as client:
        use(live, over("", outcome=Outcome.ENGINE_ERROR), over())
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
        for by in UsageBy:
            assert client.usage(by=by).totals == before.totals
        now = time.time()
        assert client.usage(since=now - 7200, until=now + 1).totals == before.totals
        assert client.usage(since=0, until=now - 7200).rows == ()
        with pytest.raises(InvalidRequest, match="is not before until") as caught:
            client.usage(since=now + 60)
        assert caught.value.param == "since"


def test_exports_agree_with_the_report(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "PAGE_REQUESTS", 7)
    with live_box(home) as live, live.client() as client:
        used = [
            over(
                f"key-{number % 3}",
                key_name='a "name", of\u2028two',
                at=time.time() - 60 + number,
                stream=bool(number % 2),
                prompt_tokens=number,
                cost_nanos=number * 1_000_001,
                ttft_seconds=0.5 if number % 2 else None,
            )
            for number in range(30)
        ]
        use(live, *used)
        totals = client.usage().totals
        as_json = json.loads("".join(client.usage_requests(UsageFormat.JSON)))
        assert msgspec.convert(as_json["rows"], list[RequestRecord]) == used
        text = "\n".join(client.usage_requests(UsageFormat.CSV))
        as_csv = list(csv.DictReader(io.StringIO(text)))
        assert list(as_csv[0]) == list(RequestRecord.__struct_fields__)
        assert [row["id"] for row in as_csv] == [one.id for one in used]
        assert [row["key_name"] for row in as_csv] == [one.key_name for one in used]
        assert {row["stream"] for row in as_csv} == {"true", "false"}
        assert [row["ttft_seconds"] for row in as_csv[:2]] == ["", "0.5"]
        ended = [datetime.fromisoformat(row["at"]).timestamp() for row in as_csv]
        assert ended == pytest.approx([one.at for one in used], abs=0.001)
        for rows in (as_json["rows"], as_csv):
            assert len(rows) == totals.requests == 30
            assert sum(int(row["prompt_tokens"]) for row in rows) == totals.prompt_tokens
            assert sum(int(row["cost_nanos"]) for row in rows) / NANOS == totals.cost
        mine = json.loads("".join(client.usage_requests(UsageFormat.JSON, key="key-1")))
        assert [row["id"] for row in mine["rows"]] == [one.id for one in used[1::3]]


def test_an_export_that_is_cut_off_does_not_look_whole(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "PAGE_REQUESTS", 2)
    with live_box(home) as live, live.client() as client:
        use(live, *(over() for _ in range(5)))
        really = live.box.usage.requests

        async def hangs_at_the_second(page: RequestsPage) -> list[tuple[int, RequestRecord]]:
            if page.after_number >= 0:
                await asyncio.Event().wait()
            return await really(page)

        monkeypatch.setattr(live.box.usage, "requests", hangs_at_the_second)
        lines = client.usage_requests(UsageFormat.CSV)
        assert [next(lines).count("req-") for _ in range(3)] == [0, 1, 1]
        stopping = threading.Thread(target=live.stop)
        stopping.start()
        with pytest.raises(DaemonUnreachable, match="broke"):
            list(lines)
        stopping.join()


def test_an_export_of_nothing(admin: httpx.Client) -> None:
    empty = admin.get("/api/v1/usage/requests?service=none")
    assert (empty.json(), empty.headers["content-type"]) == ({"rows": []}, "application/json")
    as_csv = admin.get("/api/v1/usage/requests?service=none&format=csv")
    assert as_csv.text == ",".join(RequestRecord.__struct_fields__) + "\n"
    assert as_csv.headers["content-type"] == "text/csv; charset=utf-8"


def test_usage_is_for_who_manages_the_box(tcp: httpx.Client, inference_key: str) -> None:
    headers = {"Authorization": f"Bearer {inference_key}"}
    for path in ("/api/v1/usage", "/api/v1/usage/requests"):
        assert tcp.get(path).status_code == 401
        assert tcp.get(path, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "query", ["by=cat", "per=year", "since=yesterday", "since=nan", "until=inf", "since=-1"]
)
def test_a_wrong_question(admin: httpx.Client, query: str) -> None:
    refused = admin.get(f"/api/v1/usage?{query}")
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == query.partition("=")[0]


@pytest.mark.parametrize("query", ["format=xml", "since=nan", "until=-1"])
def test_a_wrong_export(admin: httpx.Client, query: str) -> None:
    refused = admin.get(f"/api/v1/usage/requests?{query}")
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


def test_a_key_that_expires_is_refused_everywhere(
    live: LiveBox, tcp: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = CreateKeyRequest(name="brief", expires_at=time.time() + 3600)
    key = live.run(live.box.keys.create(request, live.box.local_user)).key
    headers = {"Authorization": f"Bearer {key}"}
    assert tcp.get("/v1/models", headers=headers).status_code == 200
    monkeypatch.setattr(live.box.keys, "_clock", lambda: time.time() + 3600)
    answer = tcp.get("/v1/models", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["message"].startswith("the API key 'brief' expired on 20")
    managing = tcp.get("/api/v1/keys", headers=headers)
    assert (managing.status_code, managing.json()) == (401, answer.json())
    live.run(live.box.keys.revoke("brief"))
