"""The classes of vulnerability that the field has seen, each as an attack on a running box.

Real sockets, a real daemon and a real engine; what a room's own tests try one by one is here once,
from outside.
"""

from __future__ import annotations

import json
import socket
import stat
import struct
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from hydra_box.messages import PullRequest
from hydra_box.types import DownloadState, Scope
from tests.boxes import PROGRAM, RunningBox
from tests.conftest import DemoBox, StartBox
from tests.e2e import hubs
from tests.e2e.commands import run
from tests.e2e.streams import chat
from tests.fakes.hub import FakeHub
from tests.security.raw import Reply, address_of, request, send_raw
from tests.waiting import eventually

SECRETS = ("state_directory", "runtimes", "hb-")
"""What an answer of the management API would have."""


def raw(box: RunningBox, *arguments: Any, **options: Any) -> Reply:
    return send_raw(address_of(box.url), request(*arguments, **options))


def ask(box: RunningBox, key: str, body: dict[str, Any]) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{box.url}/v1/chat/completions"
    return httpx.post(url, json=body, headers=headers, timeout=60)


def manage(box: DemoBox, method: str, path: str, body: object = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {box.admin_key}"}
    return httpx.request(method, f"{box.url}/api/v1{path}", json=body, headers=headers, timeout=60)


def told(response: httpx.Response) -> str:
    return str(response.json()["error"]["message"])


def test_no_auth_exposed(box: DemoBox, start_box: StartBox) -> None:
    """175,000 open Ollama hosts: no door without a key, no open address without one."""
    for method, path in (
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/completions"),
        ("GET", "/api/v1/status"),
        ("GET", "/api/v1/keys"),
        ("POST", "/api/v1/services"),
        ("GET", "/metrics"),
    ):
        refused = raw(box.running, path, method=method, body=b"{}" if method == "POST" else b"")
        assert refused.status == 401, path
        assert "API key" in refused.error or "key" in refused.error

    own = start_box()
    own.key("used-up", Scope.INFERENCE)
    own.client.revoke_key("used-up")
    assert own.stop() == 0
    for host in ("0.0.0.0", "::", "::ffff:0.0.0.0"):
        started = subprocess.run(
            (PROGRAM, "serve", "--host", host, "--port", "0"),
            env=own.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert started.returncode == 2, started.stderr
        assert "can be reached from other machines" in started.stderr
        assert "no key that opens anything (1 revoked, expired or disabled)" in started.stderr


@pytest.mark.parametrize(
    "path",
    [
        "/healthz/../api/v1/status",
        "/v1/../api/v1/status",
        "/v1/%2e%2e/api/v1/status",
        "/v1/..%2fapi/v1/status",
        "//api/v1/status",
        "/api/v1/../v1/status",
        "/API/v1/status",
        "/api/v1/status/",
        "/api/v1/status;/healthz",
        "/api/v1/status?/healthz",
        "/api/v1/status%00/healthz",
        "/healthz?path=/api/v1/status",
        "http://localhost/api/v1/status",
        "http://127.0.0.1/healthz/../api/v1/status",
    ],
)
def test_auth_decided_on_a_rebuilt_url(box: DemoBox, path: str) -> None:
    """CVE-2026-48746: the guard is on the matched route, however its path is written."""
    lies = (
        "X-Original-URL: /healthz",
        "X-Rewrite-URL: /healthz",
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Host: localhost",
        "X-HTTP-Method-Override: OPTIONS",
        "Forwarded: for=127.0.0.1;host=localhost",
    )
    reply = raw(box.running, path, *lies)
    assert b"state_directory" not in reply.body
    if path.startswith("/healthz?"):
        assert reply.status == 200
    else:
        assert reply.status in (400, 401, 403, 404)


def test_timing_and_sql_in_the_key_check(box: DemoBox) -> None:
    """CVE-2025-59425, CVE-2026-42208: a digest is looked up; no text reaches a database."""
    near = box.key[:-1] + ("a" if box.key[-1] != "a" else "b")
    texts = set()
    for key in (near, "hb-" + "x" * (len(box.key) - 3)):
        answer = ask(box.running, key, chat("x"))
        assert answer.status_code == 401
        texts.add(told(answer))
    # One that is nearly right is told the same as one that is all wrong.
    assert len(texts) == 1
    for hostile in (
        "Bearer ' OR '1'='1",
        "Bearer hb-' UNION SELECT * FROM keys --",
        'Bearer hb-"; DROP TABLE keys; --',
        "Bearer hb-%00",
        "Bearer \xff\xfe",
        "Bearer " + "A" * 20_000,
        "Bearer",
        "Basic YWRtaW46YWRtaW4=",
        f"bearer{box.key}",
        f"Bearer {box.key} {box.admin_key}",
    ):
        for path in ("/v1/models", "/api/v1/keys"):
            reply = raw(box.running, path, f"Authorization: {hostile}")
            assert reply.status == 401, hostile
            assert reply.error
    names = {one["name"] for one in manage(box, "GET", "/keys").json()}
    assert names >= {"tests", "tests-admin"}


def test_dns_rebinding(box: DemoBox) -> None:
    """CVE-2024-28224: neither a name that points here nor a page of another site manages a box."""
    admin = f"Authorization: Bearer {box.admin_key}"
    address = address_of(box.url)
    rebound = f"GET /api/v1/status HTTP/1.1\r\nHost: evil.example\r\n{admin}\r\n\r\n".encode()
    reply = send_raw(address, rebound)
    assert reply.status == 403
    assert "'evil.example' does not name this box" in reply.error
    for origin in ("https://evil.example", "null", "file://", f"{box.url}.evil.example"):
        page = raw(box.running, "/api/v1/status", f"Origin: {origin}", admin)
        assert page.status == 403
        assert "a page of another site" in page.error
        assert not any(name.startswith("access-control") for name in page.headers)
    # The endpoint needs a key whatever the name: a page that has none gets nothing by it.
    assert send_raw(address, b"GET /v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n").status == 401


def test_engine_flags_injected_through_the_api(box: DemoBox) -> None:
    """CVE-2026-28400: options are typed; nothing sets a binary, a path or a free flag."""
    before = engine_pids(box)
    for field, value in (
        ("flags", ["--log-file", "/tmp/x"]),
        ("extra_args", "--lora /tmp/x"),
        ("binary", "/bin/sh"),
        ("environment", {"LD_PRELOAD": "/tmp/x.so"}),
        ("runtime_path", "/bin/sh"),
        ("context_length", "512 --slot-save-path /tmp"),
        ("engine", "llama.cpp; sh"),
        ("name", "x --slot-save-path=/tmp"),
        ("name", "-x"),
        ("model", "--help"),
        ("model", "hf:../../x"),
        ("quantization", "Q8_0 --lora x"),
    ):
        refused = manage(box, "POST", "/services", {"model": "demo", field: value})
        assert 400 <= refused.status_code < 500, (field, refused.text)
        assert told(refused)
    edited = manage(box, "POST", "/services/demo/edit", {"flags": ["--verbose"]})
    assert edited.status_code == 400
    for pid in before:
        command = psutil.Process(pid).cmdline()
        assert not any("slot-save" in one or "/bin/sh" in one for one in command)
    assert engine_pids(box) == before


@pytest.fixture
def hub(tmp_path: Path) -> Any:
    with FakeHub(tmp_path / "hub") as fake:
        hubs.fill(fake)
        yield fake


def pulled(box: RunningBox, repository: str) -> str:
    """Fetch a model, and its commit."""
    download = box.client.pull(PullRequest(model=f"hf:{repository}"))

    def done() -> bool:
        found = box.client.download(download.id)
        assert found.state is not DownloadState.FAILED, found
        return found.state is DownloadState.DONE

    eventually(done, what="the model is here")
    return str(box.client.download(download.id).revision)


def test_code_in_model_repositories(home: Path, hub: FakeHub, tmp_path: Path) -> None:
    """CVE-2026-22807, CVE-2026-5817: no code is fetched, no pickle, and one commit is pinned."""
    cache = tmp_path / "cache"
    box = RunningBox(home, hubs.environ(hub, cache))
    try:
        commit = pulled(box, hubs.SAFETENSORS)
        assert commit == hub.commit(hubs.SAFETENSORS)
        there = {path.name for path in cache.rglob("*")}
        assert "config.json" in there
        assert not {name for name in there if name.endswith((".py", ".bin", ".pt", ".pkl"))}
        asked = [one.path for one in hub.requests]
        assert not any(path.endswith((".py", ".bin")) for path in asked)
    finally:
        box.stop()


def test_malicious_gguf(box: DemoBox, tmp_path: Path) -> None:
    """CVE-2026-7482, CVE-2026-27940: a header is read within bounds, and refused with words."""
    head = b"GGUF" + struct.pack("<I", 3)
    many, text = struct.pack("<QQ", 2**63, 2**63), struct.pack("<Q", 2**62)
    for number, content in enumerate(
        (
            head + many,
            head + struct.pack("<QQ", 0, 1) + text + b"general.architecture",
            head
            + struct.pack("<QQ", 0, 1)
            + struct.pack("<Q", 1)
            + b"a"
            + struct.pack("<I", 9)
            + struct.pack("<IQ", 9, 2**60),
            head + struct.pack("<QQ", 2**40, 0),
            b"GGUF" + b"\xff" * 4096,
            b"GGUF",
            b"\x80\x04\x95pickle",
        )
    ):
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(content)
        refused = manage(box, "POST", "/services", {"model": str(path), "name": "hostile"})
        assert refused.status_code == 400, refused.text
        assert path.name in told(refused)
        assert refused.json()["hint"]
    assert box.running.process.poll() is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_discard", -1),
        ("prompt_embeds", "gASVAAAA"),
        ("n", 100_000),
        ("id_slot", 0),
        ("chat_template", "{{ ''.__class__ }}"),
        ("logprobs", -1),
        ("repeat_last_n", 2**31 - 1),
        ("grammar", "root ::= " + "(" * 5000),
        ("kv_transfer_params", {"remote_host": "10.0.0.1"}),
    ],
)
def test_dangerous_request_fields(box: DemoBox, field: str, value: Any) -> None:
    """CVE-2026-21869, CVE-2025-62164, CVE-2026-34756: refused before an engine sees them."""
    pids = engine_pids(box)
    name = box.service.access_name
    refused = ask(box.running, box.key, chat(name, max_tokens=1, **{field: value}))
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == field
    assert field in told(refused)
    assert refused.json()["hint"]
    assert engine_pids(box) == pids
    assert ask(box.running, box.key, chat(name, max_tokens=1)).status_code == 200


@pytest.mark.parametrize("allowed", ["false", "true"])
def test_ssrf_by_image_url(start_box: StartBox, allowed: str) -> None:
    """CVE-2026-24779, CVE-2026-33990: nobody in the box's network is asked, whatever is allowed."""
    box = start_box(remote_media=allowed)
    key = box.key("app", Scope.INFERENCE)
    with closing(socket.create_server(("127.0.0.1", 0))) as inner:
        inner.settimeout(0)
        port = inner.getsockname()[1]
        for url in (
            f"http://127.0.0.1:{port}/",
            f"http://localhost:{port}/",
            f"http://2130706433:{port}/",
            f"http://[::ffff:127.0.0.1]:{port}/",
            "http://169.254.169.254/latest/meta-data/",
            "file:///etc/passwd",
        ):
            parts = [{"type": "image_url", "image_url": {"url": url}}]
            body = {"model": "public/x", "messages": [{"role": "user", "content": parts}]}
            refused = ask(box, key, body)
            assert refused.status_code == 400, refused.text
            assert "root:" not in refused.text
            assert refused.json()["hint"]
        with pytest.raises(BlockingIOError):
            inner.accept()


@pytest.mark.parametrize(
    "name", ["..%2f..%2fdaemon", "%2e%2e", "..", "demo%2f..%2f..", "demo%00", "%2fetc%2fpasswd"]
)
def test_path_traversal(box: DemoBox, name: str) -> None:
    """CVE-2026-7020: a path is made of ids that exist, never of what a request says."""
    admin = f"Authorization: Bearer {box.admin_key}"
    for path in (
        f"/api/v1/services/{name}/logs",
        f"/api/v1/services/demo/logs?instance={name}",
        f"/api/v1/library/{name}",
        f"/api/v1/models/{name}",
        f"/api/v1/downloads/{name}",
        f"/api/v1/keys/{name}",
        f"/v1/models/{name}",
    ):
        reply = raw(box.running, path, admin)
        assert reply.status in (400, 401, 403, 404), path
        assert b"root:" not in reply.body
        assert not any(secret.encode() in reply.body for secret in SECRETS)
    removed = raw(box.running, f"/api/v1/engines/llama.cpp/{name}", admin, method="DELETE")
    assert removed.status in (400, 404)
    refused = manage(box, "POST", "/services", {"model": "/etc/passwd", "name": "passwd"})
    assert refused.status_code == 400
    assert "root:" not in refused.text


def test_tokens_sent_to_the_wrong_host(home: Path, hub: FakeHub, tmp_path: Path) -> None:
    """GO-2025-3824: the hub's token goes to the hub, and not where the hub redirects to."""
    secret = {**hubs.environ(hub, tmp_path / "cache"), **hub.environ(token=hub.token)}
    box = RunningBox(home, secret)
    try:
        pulled(box, hubs.GGUF)
    finally:
        box.stop()
    tokens = {one.origin: one.token for one in hub.requests}
    assert tokens == {"hub": hub.token, "cdn": None}
    assert all(one.token is None for one in hub.requests if one.origin == "cdn")
    assert hub.token not in box.output.read_text()


def test_engine_errors_leaking_internals(box: DemoBox) -> None:
    """CVE-2026-22778: what an engine says of a fault is for its log; clients get our words."""
    name = box.service.access_name
    for options in (
        {"grammar": "root ::= (((("},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "?"}}}},
        {"messages": [{"role": "user"}]},
        {"messages": "x"},
        {"tools": [{"type": "function"}], "tool_choice": "required"},
        {"logit_bias": {"a": "b"}},
    ):
        answer = ask(box.running, box.key, {**chat(name, max_tokens=1), **options})
        if answer.status_code == 200:
            continue
        assert answer.status_code < 500, answer.text
        for internal in ("0x", ".cpp", ".py", "Traceback", "nlohmann", str(box.running.home)):
            assert internal not in answer.text, answer.text
    # No answer is a fault of which nobody knows: the last of them is one for certain.
    broken = ask(box.running, box.key, {"model": name, "messages": 5})
    assert broken.status_code == 400
    assert broken.json()["error"]["type"] == "invalid_request_error"


def test_open_engine_ports_and_pickle_ipc(box: DemoBox) -> None:
    """ShadowMQ, CVE-2024-50050: an engine listens on a socket that only its owner can reach."""
    for instance in box.running.client.service("demo").instances:
        assert instance.pid is not None
        family = [psutil.Process(instance.pid)]
        family += family[0].children(recursive=True)
        ports = [one for each in family for one in each.net_connections("inet")]
        assert ports == []
        engine_socket = box.running.paths.instance_socket(instance.id)
        assert stat.S_ISSOCK(engine_socket.stat().st_mode)
        assert stat.S_IMODE(engine_socket.parent.stat().st_mode) == 0o700
        environ = family[0].environ()
        assert not {name for name in environ if "INSECURE" in name or name.startswith("LD_")}
        assert not any(box.key in value for value in environ.values())
    for private in (box.running.paths.management_socket, box.running.paths.database):
        assert stat.S_IMODE(private.stat().st_mode) & 0o077 == 0


def engine_pids(box: DemoBox) -> list[int | None]:
    return [one.pid for one in box.running.client.service("demo").instances]


def test_the_cli_tells_no_secret_of_another(box: DemoBox) -> None:
    """A key is shown when it is made and never again."""
    shown = run(box.running, "keys", "list", "--json").stdout
    assert box.key not in shown
    assert json.loads(shown)
