"""Bad input at the doors of a running box: each gets a fact and a hint, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from hydra_box.messages import DeployRequest, ServiceView
from hydra_box.types import InstanceState, Scope
from tests.boxes import RunningBox
from tests.conftest import DemoBox, StartBox
from tests.e2e.commands import run
from tests.e2e.streams import chat
from tests.fakes import engine
from tests.models.tiny_gguf import write_tiny_gguf
from tests.waiting import eventually


def post(box: DemoBox, key: str | None, body: object) -> tuple[int, dict[str, Any]]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    url = f"{box.url}/v1/chat/completions"
    response = httpx.post(url, content=content, headers=headers, timeout=60)
    answer = response.json()
    assert isinstance(answer, dict)
    return response.status_code, answer


def test_no_key_a_bad_key_and_a_revoked_key(box: DemoBox) -> None:
    body = chat(box.service.access_name, max_tokens=1)
    revoked = box.running.key("to-be-revoked", Scope.INFERENCE)
    assert post(box, revoked, body)[0] == 200
    box.running.client.revoke_key("to-be-revoked")
    texts = []
    for key in (None, "hb-" + "x" * 43, revoked):
        status, answer = post(box, key, body)
        assert status == 401
        assert answer["error"]["code"] == "invalid_api_key"
        assert answer["error"]["type"] == "authentication_error"
        texts.append(answer["error"]["message"])
    assert len(set(texts)) == 3
    assert "revoked" in texts[2]


def test_an_unknown_model_is_answered_with_the_nearest(box: DemoBox) -> None:
    name = box.service.access_name
    status, answer = post(box, box.key, chat(name[:-1]))
    assert status == 404
    assert answer["error"]["code"] == "model_not_found"
    assert answer["error"]["param"] == "model"
    assert name in answer["hint"]


def test_a_body_that_is_not_json(box: DemoBox) -> None:
    status, answer = post(box, box.key, b'{"model": "demo", ')
    assert status == 400
    assert answer["error"]["type"] == "invalid_request_error"
    assert "the body (18 bytes) is not valid JSON" in answer["error"]["message"]


def test_a_prompt_longer_than_the_context_is_told_both_counts(box: DemoBox) -> None:
    status, answer = post(box, box.key, chat(box.service.access_name, "one two three " * 2000))
    assert status == 400
    assert answer["error"]["code"] == "context_length_exceeded"
    message = answer["error"]["message"]
    assert f"maximum context length is {box.service.context_length} tokens" in message
    assert "the prompt has " in message


def test_a_body_over_the_limit(start_box: StartBox) -> None:
    box = start_box(body_limit_bytes=1000)
    key = box.key("k", Scope.INFERENCE)
    response = httpx.post(
        f"{box.url}/v1/chat/completions",
        json=chat("public/x", "x" * 2000),
        headers={"authorization": f"Bearer {key}"},
    )
    assert response.status_code == 413
    assert "the limit is 1,000" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("arguments", "status", "fact", "hint"),
    [
        (("demo", "--name", "x"), 2, "the service name 'x' has 1 character", "use 2 to 64"),
        (("demo", "--name", "Big"), 2, "the service name 'Big' is not valid", "lower-case"),
        (("demo", "--name", "demo"), 5, "the name 'demo' is taken", "'demo-2' is free"),
        (("dema",), 4, "the catalog has no model 'dema'", "did you mean demo"),
        (("/no/such.gguf",), 4, "there is no file /no/such.gguf", "check the path"),
        (("demo", "--engine", "vlm"), 2, "there is no engine 'vlm'", "engines: llama.cpp"),
        (("demo", "--instances", "0"), 2, "0 instances are not possible", "1 to 64"),
        (("demo", "--concurrency", "0"), 2, "a concurrency of 0", "1 to 256"),
        (("demo", "--context-length", "999999"), 2, "999,999 tokens is longer", "or fewer"),
    ],
)
def test_deployments_that_are_refused(
    box: DemoBox, arguments: tuple[str, ...], status: int, fact: str, hint: str
) -> None:
    before = box.running.client.services()
    refused = run(box.running, "deploy", *arguments)
    assert refused.returncode == status, refused.stderr
    *_, error, hint_line = refused.stderr.strip().splitlines()
    assert error.startswith("error: ")
    assert hint_line.startswith("hint: ")
    assert fact in error
    assert hint in hint_line
    assert [one.id for one in box.running.client.services()] == [one.id for one in before]


def test_a_gguf_that_is_corrupt_or_cut_short(box: DemoBox, tmp_path: Path) -> None:
    whole = write_tiny_gguf(tmp_path / "whole.gguf").read_bytes()
    path = tmp_path / "model.gguf"
    for content, fact in (
        (b"GGUF" + b"\xff" * 500, "is not a usable GGUF file"),
        (whole[:-1000], "is truncated"),
    ):
        path.write_bytes(content)
        refused = run(box.running, "deploy", str(path))
        assert refused.returncode == 2
        assert f"error: {path} {fact}" in refused.stderr
        assert "hint: get the file again" in refused.stderr


def faulty(
    home: Path, start_box: StartBox, tmp_path: Path, **settings: object
) -> tuple[RunningBox, Path]:
    """A box whose preferred runtime obeys a test, and a model for it."""
    engine.install_as_built(home / "engines")
    box = start_box(**settings)
    box.wait_verified()
    return box, write_tiny_gguf(tmp_path / "model.gguf")


def reason_of(box: RunningBox, name: str) -> str:
    """Why an instance of the service is not serving, once there is a reason."""

    def reason() -> str | None:
        return box.client.service(name).reason

    found = eventually(reason, what="there is a reason")
    assert found is not None
    return found


def test_an_engine_that_exits_at_once_fails_with_its_reason(
    home: Path, start_box: StartBox, tmp_path: Path
) -> None:
    box, model = faulty(home, start_box, tmp_path)
    engine.behave(model, "--exit-at-once", "3", "--say", "error: the tensors are upside down")
    failed = run(box, "deploy", str(model), "--name", "bad", "--wait")
    assert failed.returncode == 7
    assert "bad FAILED" in failed.stderr
    assert "the tensors are upside down" in failed.stderr
    assert "hydra-box logs bad" in failed.stderr
    (instance,) = box.client.service("bad").instances
    assert instance.state is InstanceState.FAILED
    assert instance.pid is None
    (line,) = box.client.status().attention
    assert "upside down" in line.message

    # Once the cause is gone, a start tries again at once.
    engine.behave(model)
    box.client.start("bad")
    box.wait_running("bad")
    assert box.client.status().attention == ()


def test_an_engine_that_hangs_while_loading_is_ended(
    home: Path, start_box: StartBox, tmp_path: Path
) -> None:
    box, model = faulty(home, start_box, tmp_path, load_stall_seconds=1)
    engine.behave(model, "--hang-while-loading")
    box.client.deploy(DeployRequest(model=str(model), name="hung"))
    assert "the engine hangs: it did nothing for 1 s while loading" in reason_of(box, "hung")


def test_requests_are_told_to_wait_while_a_model_loads(
    home: Path, start_box: StartBox, tmp_path: Path
) -> None:
    box, model = faulty(home, start_box, tmp_path)
    may_load = tmp_path / "may-load"
    engine.behave(model, "--load-until", str(may_load))
    view = box.client.deploy(DeployRequest(model=str(model), name="slow"))
    key = box.key("k", Scope.INFERENCE)
    response = httpx.post(
        f"{box.url}/v1/chat/completions",
        json=chat(view.access_name),
        headers={"authorization": f"Bearer {key}"},
    )
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    may_load.touch()
    assert restarts(box.wait_running("slow")) == 0


def restarts(view: ServiceView) -> int:
    return sum(one.restarts for one in view.instances)


def test_without_a_usable_runtime_a_deployment_is_refused(
    start_box: StartBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The daemon's interpreter believes that the bundled wheel is not installed.
    (tmp_path / "sitecustomize.py").write_text('import sys\nsys.modules["xllamacpp"] = None\n')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    box = start_box()
    refused = run(box, "deploy", "demo")
    assert refused.returncode == 7
    assert (
        "no runtime of llama.cpp works on the CPU of this machine (none is installed)"
        in refused.stderr
    )
    assert "hint: hydra-box engines install llama.cpp" in refused.stderr
    assert box.client.services() == ()
